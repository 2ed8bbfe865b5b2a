"""One example per operation, for the OpenAPI file: the demo's payment, and what can be asked about it."""

from typing import Any

Json = dict[str, Any]

_HASH_A = "3f0c7b1de2a94f5680b1c7d2e9f6a4835d1e0b7c2f8a96d4e3b5c1a7f0d29e64"
_HASH_B = "9a1d5e3c7b2f4806d1e8c5a9f3b7042e6d8c1a5f9e3b7d20c4a6f8e1b3d5792c"
_PAYMENT_ID = "pay_5f2b8c1d9e3a4f7086b1c2d3e4f5a697"
_MS = 1_767_225_600_000

PAYMENT_REQUEST: Json = {"from": "a", "to": "d", "amount": "10000.00", "currency": "USD"}

PAYMENT: Json = {
    "paymentId": _PAYMENT_ID,
    "state": "settled",
    "from": "a",
    "to": "d",
    "amount": "10000.00",
    "fee": "1.00",
    "currency": "USD",
    "route": ["a", "b", "d"],
    "attempts": [
        {
            "attempt": 1,
            "state": "posted",
            "route": ["a", "b", "d"],
            "reason": "",
            "failedNode": "",
            "openedAtMs": _MS + 3,
            "endedAtMs": _MS + 14,
            "holds": [
                {
                    "hop": hop,
                    "holdId": f"{_PAYMENT_ID}/1/{hop}",
                    "state": "posted",
                    "entrySeq": 41 + hop,
                    "entryHash": digest,
                }
                for hop, digest in enumerate((_HASH_A, _HASH_B))
            ],
        }
    ],
    "refusalCode": "",
    "refusalDetail": "",
    "createdAtMs": _MS,
    "endedAtMs": _MS + 14,
}

ROUTES_REQUEST: Json = {**PAYMENT_REQUEST, "k": 3, "withoutNodes": ["b"]}

ROUTES: Json = {
    "graphVersion": 17,
    "entropy": "raw",
    "routes": [
        {
            "nodes": ["a", "c", "d"],
            "fee": "3.00",
            "weight": 500.0,
            "steps": [
                {
                    "from": "a",
                    "to": "c",
                    "amount": "10003.00",
                    "fee": "1.00",
                    "entropyBits": 1.0,
                    "weight": 200.0,
                    "latencyMs": 5,
                },
                {
                    "from": "c",
                    "to": "d",
                    "amount": "10000.00",
                    "fee": "3.00",
                    "entropyBits": 0.0,
                    "weight": 300.0,
                    "latencyMs": 7,
                },
            ],
        }
    ],
    "leftOut": [{"from": "a", "to": "b", "reason": "node b is left out"}],
}

NODES: Json = {
    "nodes": [
        {
            "nodeId": "b",
            "role": "provider",
            "currency": "USD",
            "enabled": True,
            "links": [
                {
                    "to": "d",
                    "enabled": True,
                    "baseFee": "1.00",
                    "feeRatePpm": 0,
                    "latencyMs": 5,
                    "declaredVolume": "1000000.00",
                    "liquidityVolume": "990000.00",
                    "version": 4,
                }
            ],
        }
    ]
}

ACCOUNT: Json = {
    "accountId": "link/b/d",
    "owner": "b",
    "currency": "USD",
    "kind": "link",
    "posted": "990000.00",
    "held": "0.00",
    "available": "990000.00",
    "headSeq": 42,
    "entries": [
        {
            "seq": 42,
            "hash": _HASH_B,
            "prevHash": _HASH_A,
            "version": 1,
            "transferId": f"{_PAYMENT_ID}/1/1",
            "kind": "post",
            "debit": "link/b/d",
            "credit": "link/d/b",
            "amount": "10000.00",
            "currency": "USD",
            "ref": f"{_PAYMENT_ID}/1",
            "createdAtMs": _MS + 14,
            "epoch": 1,
        }
    ],
}

VERDICT: Json = {
    "ok": True,
    "entries": 42,
    "headSeq": 42,
    "headHash": _HASH_B,
    "anchoredSeq": 42,
    "unanchored": 0,
    "anchorsUnread": "",
    "findings": [],
    "sums": {"USD": "0.00"},
    "elapsedMs": 2,
}

HOLD_POINT: Json = {"state": "reached", "paymentId": _PAYMENT_ID, "attempt": 1}
HEALTH: Json = {"status": "ok"}
PROBLEM: Json = {
    "type": "urn:plm:error:no_route",
    "title": "Service Unavailable",
    "status": 503,
    "code": "no_route",
    "detail": "no live route from a to d has room for this amount now",
    "effectUnknown": False,
}


def answer(example: Json) -> dict[int | str, Json]:
    """The `responses` of an operation whose good answer looks like this."""
    return {200: {"content": {"application/json": {"example": example}}}}
