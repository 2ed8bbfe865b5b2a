"""The folder that goes on PATH: one name per tool, always there, never stale."""

from pathlib import Path

import pytest
from plmkit.state import Places
from plmkit.tools.linking import link


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(checkout=tmp_path, cache=tmp_path / "cache", state=tmp_path / "state")


def built(places: Places, name: str, content: str) -> Path:
    path = places.cache / "tools" / "family" / content / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def names(places: Places) -> set[str]:
    return {path.name for path in (places.cache / "tools" / "bin").iterdir()}


def test_a_new_build_takes_the_place_of_the_old_one(places: Places) -> None:
    link(places, [built(places, "etcd", "old")], {})
    link(places, [built(places, "etcd", "new")], {})
    assert (places.cache / "tools" / "bin" / "etcd").read_text() == "new"
    assert names(places) == {"etcd"}


def test_what_is_up_to_date_is_not_touched(places: Places) -> None:
    etcd = built(places, "etcd", "same")
    link(places, [etcd], {"helm": Path("/usr/bin/helm")})
    folder = places.cache / "tools" / "bin"
    before = folder.stat().st_mtime_ns
    link(places, [etcd], {"helm": Path("/usr/bin/helm")})
    assert folder.stat().st_mtime_ns == before


def test_what_was_found_wins_over_an_earlier_build(places: Places) -> None:
    helm = built(places, "helm", "ours")
    link(places, [helm], {})
    link(places, [helm], {"helm": Path("/usr/bin/helm")})
    assert (places.cache / "tools" / "bin" / "helm").readlink() == Path("/usr/bin/helm")


def test_a_tool_that_is_gone_leaves_no_name(places: Places) -> None:
    link(places, [built(places, "etcd", "e"), built(places, "crane", "c")], {})
    link(places, [built(places, "etcd", "e")], {})
    assert names(places) == {"etcd"}


def test_a_part_of_the_tools_leaves_the_names_of_the_others(places: Places) -> None:
    link(places, [built(places, "etcd", "e"), built(places, "helm", "old")], {})
    link(places, [built(places, "helm", "new")], {}, is_all=False)
    assert names(places) == {"etcd", "helm"}
    assert (places.cache / "tools" / "bin" / "helm").read_text() == "new"


def test_a_program_finds_its_companion_beside_its_own_binary(places: Places) -> None:
    """What pulumi does: it looks at where its binary really lies, links followed."""
    link(places, [built(places, "pulumi", "a"), built(places, "pulumi-language-python", "b")], {})
    pulumi = (places.cache / "tools" / "bin" / "pulumi").resolve()
    assert pulumi.with_name("pulumi-language-python").exists()


def test_the_provider_is_a_plugin_and_not_on_path(places: Places) -> None:
    link(places, [built(places, "pulumi-resource-kubernetes", "p")], {})
    [plugin] = (places.cache / "pulumi-home" / "plugins").glob("resource-kubernetes-v*/*")
    assert plugin.read_text() == "p"
    assert names(places) == set()
