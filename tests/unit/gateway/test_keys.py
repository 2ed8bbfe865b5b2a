"""API keys: who a key belongs to, how it is compared, and that a rotated one works without a restart."""

import hmac
import os
from pathlib import Path

import pytest
from plm.domain.errors import Code, Refused, Unavailable
from plm.gateway.keys import Client, Keys, Role, parse
from support.paper_gateway import key_entry, open_gateway, problem, write_keys


def rewrite(path: Path, *entries: dict[str, object]) -> None:
    """As a Secret is changed: new content, new time."""
    before = path.stat().st_mtime_ns
    write_keys(path, *entries)
    os.utime(path, ns=(before + 1, before + 1))


def refused(keys: Keys, authorization: str) -> bool:
    try:
        keys.client_of(authorization)
    except Refused as error:
        return error.code is Code.UNAUTHENTICATED
    return False


def test_a_key_names_its_client_with_role_and_nodes(tmp_path: Path) -> None:
    path = write_keys(
        tmp_path / "keys",
        key_entry("platform", "operator", "one"),
        key_entry("shop", "client", "two", ["a", "b"], salt="ff"),
    )
    keys = Keys(path)
    assert keys.client_of("Bearer one") == Client("platform", Role.OPERATOR, frozenset())
    assert keys.client_of("bearer two") == Client("shop", Role.CLIENT, frozenset("ab"))


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Bearer ", "Bearer on", "Bearer onee", "Bearer ONE", "one"]
)
def test_nothing_but_the_whole_key_will_do(tmp_path: Path, authorization: str) -> None:
    keys = Keys(write_keys(tmp_path / "keys", key_entry("platform", "operator", "one")))
    assert refused(keys, authorization)


def test_a_rotated_key_works_at_once_and_the_old_one_no_more(tmp_path: Path) -> None:
    """The client's id stays, and with it the names of its payments."""
    path = write_keys(tmp_path / "keys", key_entry("shop", "client", "old", ["a"]))
    keys = Keys(path)
    before = keys.client_of("Bearer old")
    old, new = (key_entry("shop", "client", key, ["a"]) for key in ("old", "new"))
    rewrite(path, old, new)  # while both are in use
    assert keys.client_of("Bearer old") == keys.client_of("Bearer new") == before
    rewrite(path, new)
    assert keys.client_of("Bearer new") == before
    assert refused(keys, "Bearer old")


def test_the_file_is_read_when_it_changes_and_not_before(tmp_path: Path) -> None:
    path = write_keys(tmp_path / "keys", key_entry("shop", "client", "one"))
    stamp = path.stat().st_mtime_ns
    keys = Keys(path)
    keys.client_of("Bearer one")
    path.write_text("not a key file")
    os.utime(path, ns=(stamp, stamp))
    assert keys.client_of("Bearer one").client_id == "shop"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"clients": [{"client_id": "x", "role": "root", "salt": "", "key_sha256": ""}]}',
        '{"clients": [{"client_id": "x", "role": "client", "salt": "xx", "key_sha256": ""}]}',
        '{"clients": [{"role": "client"}]}',
        '{"clients": 5}',
        '{"clients": [["client"]]}',
        "null",
        "\ufffd",
    ],
)
def test_a_broken_file_lets_nobody_in(tmp_path: Path, text: str) -> None:
    """Also who was in before: a revocation that was mistyped must not pass for one that works."""
    path = write_keys(tmp_path / "keys", key_entry("shop", "client", "one"))
    keys = Keys(path)
    keys.client_of("Bearer one")
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 1, before + 1))
    for key in ("one", "one", "other"):
        with pytest.raises(Unavailable) as caught:
            keys.client_of(f"Bearer {key}")
        assert (caught.value.code, caught.value.effect_unknown) == (Code.INTERNAL, False)
    rewrite(path, key_entry("shop", "client", "two"))
    assert keys.client_of("Bearer two").client_id == "shop"


def test_a_file_that_is_gone_lets_nobody_in_until_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys = Keys(path)
    with pytest.raises(Unavailable):
        keys.client_of("Bearer one")
    write_keys(path, key_entry("shop", "client", "one"))
    assert keys.client_of("Bearer one").client_id == "shop"
    path.unlink()
    with pytest.raises(Unavailable):
        keys.client_of("Bearer one")


async def test_a_payment_that_was_not_let_in_is_known_not_to_be_made(tmp_path: Path) -> None:
    gateway = await open_gateway(tmp_path)
    (tmp_path / "keys.json").write_text("{")
    response = await gateway.pay("k")
    assert problem(response) == (500, "internal")
    assert response.json()["effectUnknown"] is False
    assert gateway.mesh.ledger.books.payments == {}


def test_digests_are_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every comparison goes through hmac.compare_digest, over whole digests: how far two agree does not show."""
    compared: list[tuple[int, int]] = []
    constant_time = hmac.compare_digest

    def counting(ours: bytes, theirs: bytes) -> bool:
        compared.append((len(ours), len(theirs)))
        return constant_time(ours, theirs)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    entries = [key_entry(f"c{number}", "client", f"key{number}") for number in range(3)]
    keys = Keys(write_keys(tmp_path / "keys", *entries))
    assert keys.client_of("Bearer key2").client_id == "c2"
    assert compared == [(32, 32)] * 3
    monkeypatch.setattr(hmac, "compare_digest", lambda *_digests: False)
    assert refused(keys, "Bearer key2"), "nothing else decides"


def test_keys_do_not_show_where_entries_are_shown() -> None:
    [entry] = parse('{"clients": [' + _raw("one") + "]}")
    assert "one" not in repr(entry)


def _raw(key: str) -> str:
    import json

    return json.dumps(key_entry("shop", "client", key))


def test_a_client_pays_from_its_nodes_and_an_operator_from_all() -> None:
    shop = Client("shop", Role.CLIENT, frozenset({"a"}))
    shop.check_pays_from("a")
    Client("platform", Role.OPERATOR, frozenset()).check_pays_from("z")
    for node in ("b", "", "link/a/b"):
        with pytest.raises(Refused):
            shop.check_pays_from(node)
    with pytest.raises(Refused):
        shop.check_operator()
