"""The base image's sources: the machine's own Debian mirror, whatever else its apt knows."""

from pathlib import Path

import pytest
from plmkit.console import KitError
from plmkit.images import base
from plmkit.images.buildah import Buildah
from support.paper_builder import PaperBuilder
from support.programs import put

DEB822 = """Types: deb
# http://snapshot.example/archive/debian/20250520T000000Z
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main contrib
"""
ONE_LINE = """# deb http://old.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib  # ours
deb [arch=amd64] http://mirror.example/debian bookworm-updates main
deb [ arch=amd64 trusted=yes signed-by=/a.gpg ] http://mirror.example/debian-security bookworm-security main
"""
EXPECTED = (
    "deb http://mirror.example/debian bookworm main",
    "deb http://mirror.example/debian bookworm-updates main",
    "deb http://mirror.example/debian-security bookworm-security main",
)


def test_both_formats_of_apt_are_read() -> None:
    assert base.source_lines([DEB822]) == EXPECTED
    assert base.source_lines([ONE_LINE]) == EXPECTED


def test_other_people_s_packages_are_no_mirror_of_debian() -> None:
    """Their suites may have Debian's names."""
    theirs = [
        "deb [arch=amd64 signed-by=/d.gpg] https://download.example/linux/debian bookworm stable",
        "deb https://apt.example bookworm main",
        "deb https://packages.example/apt cloud-sdk-bookworm main",
        "deb cdrom:[Debian GNU/Linux 12.5.0 _Bookworm_]/ bookworm main",
        DEB822.replace("mirror.example/debian", "apt.example/x").replace("main", "stable"),
    ]
    assert base.source_lines([*theirs, DEB822]) == EXPECTED
    assert base.source_lines([DEB822, *theirs]) == EXPECTED


def test_the_first_mirror_counts_and_one_that_is_switched_off_does_not() -> None:
    other = DEB822.replace("mirror.example", "second.example")
    assert base.source_lines([DEB822, other]) == EXPECTED
    switched_off = other.replace("Types: deb", "Enabled: no\nTypes: deb")
    assert base.source_lines([switched_off, DEB822]) == EXPECTED


def test_a_mirror_with_another_name_is_taken_where_it_is_the_only_one() -> None:
    assert base.source_lines(["deb http://apt.local/mirror bookworm main"]) == (
        "deb http://apt.local/mirror bookworm main",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb http://archive.example/ubuntu noble main",
        "nonsense",
        "deb http://mirror.example/debian bookworm-updates main",
    ],
)
def test_where_there_is_no_mirror_of_debian_12_none_is_named(text: str) -> None:
    """Updates alone are none: without the release itself there is nothing to update."""
    assert base.source_lines([text]) == ()


@pytest.mark.parametrize("lines", [(), EXPECTED], ids=["none", "some"])
def test_mmdebstrap_is_given_the_mirrors_that_there_are_and_else_takes_its_own(
    builder: PaperBuilder,
    storage: Buildah,
    monkeypatch: pytest.MonkeyPatch,
    lines: tuple[str, ...],
) -> None:
    """An empty argument would be a mirror too: where none is known, the target is the last word."""
    monkeypatch.setattr(base, "source_lines", lambda _texts: lines)
    base.build(storage)
    [bootstrap] = [words for words in builder.asked if words[0] == "mmdebstrap"]
    suite = bootstrap.index("bookworm")
    assert tuple(bootstrap[suite + 2 :]) == lines
    assert bootstrap[suite + 1].endswith("base.tar")


def test_the_base_is_made_from_a_bootstrap_without_documents(
    builder: PaperBuilder, storage: Buildah
) -> None:
    base.build(storage)
    [bootstrap] = [words for words in builder.asked if words[0] == "mmdebstrap"]
    assert "--include=usr-is-merged" in bootstrap
    assert "--dpkgopt=path-exclude=/usr/share/man/*" in bootstrap
    assert any(word.startswith("--customize-hook=sh ") for word in bootstrap)
    assert storage.has(base.REFERENCE)
    # The scratch container goes, whatever came of it.
    assert builder.asked[-2] == ["buildah", "rm", "working-container"]


def test_what_the_bootstrap_mounts_and_starts_ends_with_it(
    builder: PaperBuilder, storage: Buildah, tmp_path: Path
) -> None:
    """It mounts devices in its root, and outlives a signal: whoever cleared up after it would meet both."""
    unshare = builder.folder / "programs" / "unshare"
    asked = tmp_path / "asked"
    put(unshare.parent, "unshare", f'echo "$@" > {asked}\n{unshare.read_text()}')
    base.build(storage)
    options, _, command = asked.read_text().partition(" mmdebstrap ")
    assert {"--mount", "--pid", "--fork", "--kill-child"} <= set(options.split())
    assert f"{storage.scratch}/base.tar" in command
    assert list(storage.scratch.iterdir()) == []


def test_a_mirror_that_does_not_answer_is_said_in_its_own_words(
    builder: PaperBuilder, tmp_path: Path
) -> None:
    builder.refuse("mmdebstrap")
    with pytest.raises(KitError, match="mmdebstrap failed: step 3: no space left") as failed:
        base.build(Buildah(tmp_path))
    assert failed.value.cure.startswith("plm images")


def test_a_working_container_is_removed_also_when_a_step_failed(
    builder: PaperBuilder, storage: Buildah
) -> None:
    builder.refuse("buildah commit")
    with pytest.raises(KitError, match="buildah commit failed"):
        base.build(storage)
    assert builder.asked[-1] == ["buildah", "rm", "working-container"]


def test_the_key_is_the_recipe_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = base.content_key()
    assert base.content_key() == before
    hook = tmp_path / "hook.sh"
    hook.write_bytes(base._HOOK.read_bytes() + b"# more\n")
    monkeypatch.setattr(base, "_HOOK", hook)
    assert base.content_key() != before
