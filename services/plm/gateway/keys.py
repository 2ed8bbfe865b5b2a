"""API keys: who may ask, and which nodes they may pay from. Only salted hashes are kept."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog

from plm.domain.errors import Code, Refused, Unavailable

log = structlog.get_logger(__name__)


class Role(StrEnum):
    """Adding one? Say in docs/operating.md what it may do."""

    OPERATOR = "operator"  # every node, verification, debug
    CLIENT = "client"  # the nodes of its list


@dataclass(frozen=True, slots=True)
class Client:
    """Who a key belongs to. The id outlives the key: payments are named by it."""

    client_id: str
    role: Role
    nodes: frozenset[str]

    def check_pays_from(self, node_id: str) -> None:
        """Raise Refused unless this client may spend the node's money."""
        if self.role is not Role.OPERATOR and node_id not in self.nodes:
            raise Refused(Code.FORBIDDEN, f"{self.client_id} may not pay from {node_id}")

    def check_operator(self) -> None:
        """Raise Refused unless this client runs the platform."""
        if self.role is not Role.OPERATOR:
            raise Refused(Code.FORBIDDEN, "this needs a key of role operator")


@dataclass(frozen=True, slots=True)
class _Entry:
    client: Client
    salt: bytes
    digest: bytes


class Keys:
    """The keys of a file, read again when it changes: a rotated key works without a restart.

    A file that cannot be read lets nobody in, not even who was in before: a key that was to be taken away may be among
    them. That is no answer to a request, and nothing of it was done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = 0
        self._entries: tuple[_Entry, ...] = ()

    def client_of(self, authorization: str) -> Client:
        """The client of an Authorization header. Raises Refused(unauthenticated), Unavailable without a good file."""
        scheme, _, key = authorization.partition(" ")
        if scheme.lower() == "bearer" and key:
            for entry in self._current():
                digest = hashlib.sha256(entry.salt + key.encode()).digest()
                if hmac.compare_digest(digest, entry.digest):
                    return entry.client
        raise Refused(Code.UNAUTHENTICATED, "send a known key as Authorization: Bearer <key>")

    def _current(self) -> tuple[_Entry, ...]:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._entries = parse(self._path.read_text())
                self._stamp = stamp
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._stamp = 0  # what was read before is not taken for what is there
            reason = f"{type(error).__name__}: {error}"  # its repr may hold the whole file
            log.error("Failed to read the API keys", path=str(self._path), reason=reason)  # noqa: TRY400 - the reason says it
            raise Unavailable(
                Code.INTERNAL, "the gateway's file of API keys cannot be read"
            ) from error
        return self._entries


def parse(text: str) -> tuple[_Entry, ...]:
    """The entries of a key file. Raises one of many errors when it is not one."""
    return tuple(
        _Entry(
            Client(raw["client_id"], Role(raw["role"]), frozenset(raw.get("nodes", ()))),
            bytes.fromhex(raw["salt"]),
            bytes.fromhex(raw["key_sha256"]),
        )
        for raw in json.loads(text)["clients"]
    )
