"""Where plm keeps things: by the XDG folders or by name, always as whole paths."""

from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.state import Places, find_places

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME", "PLM_CACHE_DIR", "PLM_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_by_default_both_lie_in_the_home(home: Path) -> None:
    assert find_places() == Places(CHECKOUT, home / ".cache" / "plm", home / ".local/state/plm")


def test_xdg_folders_count_and_a_name_counts_more(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "s"))
    assert find_places() == Places(CHECKOUT, home / "c" / "plm", home / "s" / "plm")
    monkeypatch.setenv("PLM_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("PLM_STATE_DIR", str(home / "state"))
    assert find_places() == Places(CHECKOUT, home / "cache", home / "state")


def test_a_relative_name_means_the_folder_one_is_in(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Daemons start in another one: their sockets would be elsewhere."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("PLM_STATE_DIR", "here/state")
    monkeypatch.setenv("PLM_CACHE_DIR", "../cache")
    found = find_places()
    assert (found.state, found.cache) == (home / "here" / "state", home.parent / "cache")


def test_a_link_is_followed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mount table names what is behind it: looking for the link, a teardown would leave all mounts."""
    (home / "disk").mkdir()
    (home / "link").symlink_to(home / "disk")
    monkeypatch.setenv("PLM_STATE_DIR", str(home / "link" / "state"))
    assert find_places().state == home / "disk" / "state"
    assert find_places().cluster == home / "disk" / "state" / "cluster"


def test_looking_makes_nothing(home: Path) -> None:
    find_places()
    assert list(home.iterdir()) == []


def test_links_in_a_ring_are_told_with_the_variable_that_names_them(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "ring").symlink_to(home / "ring")
    monkeypatch.setenv("PLM_CACHE_DIR", str(home / "ring"))
    with pytest.raises(KitError, match="Symlink loop") as told:
        find_places()
    assert told.value.cure.startswith("name one with PLM_CACHE_DIR=")


def test_a_user_without_a_home_is_asked_for_folders_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that runs under any number."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(KitError, match="home directory") as told:
        find_places()
    assert "PLM_CACHE_DIR" in told.value.cure
    monkeypatch.setenv("PLM_CACHE_DIR", str(home / "c"))
    monkeypatch.setenv("PLM_STATE_DIR", str(home / "s"))
    assert find_places() == Places(CHECKOUT, home / "c", home / "s")
