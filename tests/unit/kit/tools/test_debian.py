"""Packages come without their daemons, nothing goes for them, and whoever is told to end leaves no half of one."""

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.tools import debian, holds
from support.programs import put
from support.waiting import wait_until

# Every call is written down, with how many holds lay there at that moment.
ASKED = 'echo "$(find {root} -type f ! -name .keep | wc -l) $(basename $0) $*" >> {asked}\n'
DPKG_QUERY = """
form=$2
case "$form" in
  *Provides*) echo "ii runc"; echo "rc containerd"; echo "hi mail-transport-agent, skopeo (= 1.9)"
    echo "iiR nftables" ;;
  *binary*) echo "ii kmod"; cat "$(dirname "$0")/../half-way" ;;
  *) echo "buildah ii "; echo "kmod iU "; echo "nftables rc "; echo "udev hi "; echo "tar iiR" ;;
esac
exit 1
"""
WANTED = ("buildah", "containerd", "kmod", "nftables", "runc", "skopeo", "tar", "udev")


@dataclass(frozen=True)
class Machine:
    """Its root, its programs, and what they were asked."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def program(self, name: str, script: str = "") -> None:
        asked = ASKED.format(root=self.root, asked=self.folder / "asked")
        put(self.folder / "programs", name, asked + script)

    @property
    def half_way(self) -> Path:
        """Packages with their status."""
        return self.folder / "half-way"

    @property
    def files(self) -> set[str]:
        found = {path for path in self.root.rglob("*") if path.name != ".keep"}
        return {str(path.relative_to(self.root)) for path in found}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    for name in ("apt-get", "dpkg"):
        made.program(name)
    put(tmp_path / "programs", "dpkg-query", DPKG_QUERY)
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    moved = [replace(hold, path=made.root / hold.path.relative_to("/")) for hold in holds.HOLDS]
    monkeypatch.setattr(holds, "HOLDS", tuple(moved))
    monkeypatch.setattr(debian, "_TURN", tmp_path / "turn")
    monkeypatch.setattr(debian, "_LISTS", tmp_path / "lists")
    made.half_way.touch()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "mirror_Packages.lz4").touch()
    for folder in ("usr/sbin", "etc", "run/systemd"):
        (made.root / folder).mkdir(parents=True)
        (made.root / folder / ".keep").touch()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    yield made
    assert not holds.are_left()


def install(*packages: str) -> list[str]:
    said: list[str] = []
    debian.install(packages, said.append)
    return said


def test_half_installed_is_missing_and_what_is_on_hold_or_another_package_provides_is_not(
    machine: Machine,
) -> None:
    """Docker's containerd.io is containerd and runc in one; Debian's own would drive it out."""
    assert debian.missing(WANTED) == ("containerd", "kmod", "nftables", "tar")


def test_where_there_is_no_dpkg_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KitError, match="no Debian") as refused:
        debian.missing(WANTED)
    assert refused.value.cure == f"install yourself: {' '.join(WANTED)}"
    assert refused.value.exit_code is ExitCode.UNFIT_ENVIRONMENT


def test_a_plain_user_is_told_what_to_install(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    with pytest.raises(KitError) as refused:
        install("runc", "kmod")
    assert refused.value.cure == "apt-get install runc kmod"
    assert machine.asked == []


def test_packages_come_while_everything_is_held_and_nothing_is_held_afterwards(
    machine: Machine,
) -> None:
    before = machine.files
    install("containerd", "postgresql-15")
    configure, got = machine.asked
    assert configure == "0 dpkg --force-confold --configure -a"
    assert got.startswith(f"{len(holds.HOLDS)} apt-get -qq ")
    assert got.endswith(" install --no-install-recommends containerd postgresql-15")
    assert machine.files == before, "a file or a folder of ours is left"


def test_nothing_is_removed_for_them_and_nobody_is_asked(machine: Machine) -> None:
    install("containerd")
    words = machine.asked[-1].split()
    assert {"--yes", "--no-remove", "Dpkg::Options::=--force-confold"} <= set(words)


def test_lists_are_fetched_where_there_are_none_and_again_where_they_are_too_old(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "lists" / "mirror_Packages.lz4").unlink()
    marker = tmp_path / "updated-twice"
    update = f"test -e {marker}.1 && touch {marker}; touch {marker}.1"
    machine.program("apt-get", f'case "$*" in *update) {update};; *) test -e {marker};; esac')
    install("kmod")
    verbs = ["update" if call.endswith("update") else "install" for call in machine.asked[1:]]
    assert verbs == ["update", "install", "update", "install"]


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("E: Unable to locate package kmod", "apt-get install --no-install-recommends kmod;"),
        ("E: Packages need to be removed but remove is disabled.", "apt-get install "),
        (
            "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'",
            "dpkg --configure -a; then plm tools again",
        ),
    ],
)
def test_apt_s_last_words_are_told_with_a_cure_that_fits(
    machine: Machine, words: str, cure: str
) -> None:
    machine.program(
        "apt-get", f'case "$*" in *update) exit 0 ;; esac; echo "{words}" >&2; exit 100'
    )
    with pytest.raises(KitError) as failed:
        install("kmod")
    assert words in failed.value.what
    assert failed.value.cure.startswith(cure)
    assert "--yes" not in failed.value.cure, "by hand it asks before it removes anything"


def test_a_mirror_that_does_not_answer_is_what_to_look_at(machine: Machine) -> None:
    machine.program("apt-get", "echo 'E: Could not connect' >&2; exit 100")
    with pytest.raises(KitError, match="apt-get update failed: E: Could not connect") as failed:
        install("kmod")
    assert "does the mirror answer?" in failed.value.cure


def test_what_a_killed_installation_left_is_ours_and_goes(machine: Machine) -> None:
    for hold in holds.HOLDS:
        hold.put()
    debian.tidy(lambda _text: None)
    assert not holds.are_left()
    assert machine.files == {"usr", "usr/sbin", "etc", "run", "run/systemd"}


def test_its_unfinished_packages_are_finished_under_the_same_holds(machine: Machine) -> None:
    """Else their daemons would start after all."""
    for hold in holds.HOLDS:
        hold.put()
    install("kmod")
    assert [call.split()[:2] for call in machine.asked] == [
        [str(len(holds.HOLDS)), "dpkg"],
        [str(len(holds.HOLDS)), "apt-get"],
    ]


@pytest.mark.parametrize("status", ["iH ", "iU ", "iF ", "iW ", "it ", "iiR"])
def test_what_a_failed_installation_leaves_half_way_in_is_finished_under_holds(
    machine: Machine, status: str
) -> None:
    """By whoever comes next; else its daemon starts, and is enabled for the next boot."""
    fails = f'case "$*" in *install*) echo "{status}postgresql-15" > {machine.half_way}; exit 100;; esac'
    machine.program("apt-get", fails)
    with pytest.raises(KitError):
        install("postgresql-15")
    assert holds.are_left()
    machine.program("apt-get")
    machine.program("dpkg", f": > {machine.half_way}")
    install("postgresql-15")
    assert [call.split()[:2] for call in machine.asked[-2:]] == [
        [str(len(holds.HOLDS)), "dpkg"],
        [str(len(holds.HOLDS)), "apt-get"],
    ]
    assert not holds.are_left()


def test_what_was_half_way_in_before_is_not_ours_to_hold(machine: Machine) -> None:
    machine.half_way.write_text("iF theirs\n")
    install("kmod")
    assert not holds.are_left()


def test_what_is_left_is_not_taken_away_before_its_packages_are_finished(machine: Machine) -> None:
    for hold in holds.HOLDS:
        hold.put()
    machine.half_way.write_text("iF postgresql-15\n")
    said: list[str] = []
    debian.tidy(said.append)
    assert holds.are_left()
    assert said[0].startswith("half-way in: postgresql-15; ")
    assert "dpkg --configure -a" in said[1]
    machine.program("dpkg", f": > {machine.half_way}")
    debian.tidy(said.append)
    assert machine.asked[-1].startswith(f"{len(holds.HOLDS)} dpkg "), "under holds"
    assert not holds.are_left()


def test_somebody_s_own_policy_stays_as_it_is(machine: Machine) -> None:
    theirs = machine.root / "usr" / "sbin" / "policy-rc.d"
    theirs.write_text("#!/bin/sh\nexit 0\n")
    install("kmod")
    debian.tidy(lambda _text: None)
    assert theirs.read_text() == "#!/bin/sh\nexit 0\n"


def test_what_cannot_be_asked_for_a_minute_is_given_up(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(debian, "_ANSWER_WITHIN_S", 0.1)
    put(tmp_path / "programs", "dpkg-query", "exec sleep 60")
    with pytest.raises(KitError, match="dpkg-query --show has not ended"):
        debian.missing(WANTED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_is_told_to_end_lets_apt_end_what_it_is_at_and_is_then_interrupted(
    machine: Machine, tmp_path: Path, number: signal.Signals
) -> None:
    """Cut off, as by a SIGTERM that it does not catch, it would leave packages half-way in, and dpkg at work."""
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    machine.program(
        "apt-get",
        f"trap 'touch {ended}; exit 100' INT\ntouch {begun}\nwhile :; do sleep 0.05; done",
    )

    def press() -> None:
        wait_until(begun.exists, 20, "apt is at it")
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        install("kmod")
    thread.join()
    assert ended.exists()
    assert len([call for call in machine.asked if " apt-get " in call]) == 1
    assert not holds.are_left()
