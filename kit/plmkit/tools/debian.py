"""Debian packages: what is missing, and its installation without starting a daemon, now or at the next boot."""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from plmkit import children, groups
from plmkit.console import ExitCode, KitError
from plmkit.tools import holds
from plmkit.turns import take_turn

_LISTS = Path("/var/lib/apt/lists")
# Of the whole machine: installations with caches of their own share its packages.
_TURN = Path("/run/lock/plm-packages")
_ANSWER_WITHIN_S = 60.0
# A download that stands still is given up by apt itself, much earlier.
_INSTALLED_WITHIN_S = 3600.0
# Half-installed, unpacked, half-configured, waiting for another's trigger, with one to be run.
_HALF_WAY = tuple("HUFWt")
# What somebody has set stays; there is nobody to ask.
_KEEP = "--force-confold"
_OPTIONS = (
    "-qq",
    "-o", "Dpkg::Use-Pty=0",
    "-o", f"Dpkg::Options::={_KEEP}",
    "-o", "DPkg::Lock::Timeout=300",  # a machine that has just booted may be at its upgrades
    "-o", "Acquire::Retries=3",
    "-o", "Acquire::http::Timeout=30",
    "-o", "Acquire::https::Timeout=30",
)  # fmt: skip

Say = Callable[[str], None]


def missing(packages: Sequence[str]) -> tuple[str, ...]:
    """Those that are not installed, nor provided by one that is. Raises KitError where dpkg is none."""
    if shutil.which("dpkg-query") is None:
        raise KitError(
            "this is no Debian: dpkg-query is missing",
            f"install yourself: {' '.join(packages)}",
            ExitCode.UNFIT_ENVIRONMENT,
        )
    named = _query("${Package} ${db:Status-Abbrev}\n", *packages)
    # Wanted or not, such as on hold: it is there, and nothing is wrong with it.
    installed = {line.split()[0] for line in named if line.endswith("i ")}
    absent = tuple(package for package in packages if package not in installed)
    if not absent:
        return ()
    # Docker's containerd.io, say, is containerd and runc in one, and would have to go for Debian's.
    texts = _query("${db:Status-Abbrev}${Provides}\n")
    provided = {
        words.split()[0]
        for text in texts
        if text[1:3] == "i "
        for words in text[3:].split(",")
        if words.strip()
    }
    return tuple(package for package in absent if package not in provided)


def _query(form: str, *packages: str) -> list[str]:
    command = ["dpkg-query", "--show", f"--showformat={form}", *packages]
    return groups.run(
        command, timeout_s=_ANSWER_WITHIN_S, cure=shlex.join(command)
    ).stdout.splitlines()


def _unfinished() -> set[str]:
    """The packages that are half-way in."""
    texts = _query("${db:Status-Abbrev}${binary:Package}\n")
    return {text[3:] for text in texts if text[1:2] in _HALF_WAY or text[2:3] == "R"}


def tidy(say: Say) -> None:
    """Take away what an installation that was killed has left: it would keep other people's daemons from starting.

    Not before its packages are finished: their own would start.
    """
    if os.getuid() == 0 and holds.are_left():
        with _turn(say):
            if _unfinished():
                _finish_what_was_cut_off()
            if unfinished := _unfinished():
                say(
                    f"half-way in: {' '.join(sorted(unfinished))}; daemons of new packages are held"
                )
                say("try: dpkg --configure -a; then plm tools again")
                return
            holds.release()


def install(packages: Sequence[str], say: Say) -> None:
    """Install them; nothing is removed for them. Raises KitError with apt's last words."""
    if os.getuid() != 0:
        raise KitError(
            f"packages are missing: {' '.join(packages)}",
            f"apt-get install {' '.join(packages)}",
            ExitCode.UNFIT_ENVIRONMENT,
        )
    with _turn(say):
        is_ours = holds.are_left()
        if not is_ours:
            # Where somebody else's installation was cut off, its daemons start as they would have.
            _finish_what_was_cut_off()
        theirs = set[str]() if is_ours else _unfinished()
        # What is half-way in starts when it is finished: by the next of us, who knows by the holds that it is ours.
        with holds.held(lambda: _unfinished() <= theirs):
            if is_ours:
                _finish_what_was_cut_off()
            _install(packages)


def _install(packages: Sequence[str]) -> None:
    words = ["install", "--no-install-recommends", *packages]
    if not any(_LISTS.glob("*_Packages*")):
        _apt("update")
    try:
        _apt(*words)
    except KitError:
        # Lists that are older than the mirror name files that are gone.
        _apt("update")
        _apt(*words)


def _turn(say: Say) -> AbstractContextManager[None]:
    return take_turn(_TURN, lambda: say("waiting: another plm is at the packages"))


def _finish_what_was_cut_off() -> None:
    """Else apt refuses to begin. Does nothing as a rule; where it fails, apt says why."""
    _attend("dpkg", _KEEP, "--configure", "-a")


def _apt(action: str, *words: str) -> None:
    unasked = ["--yes", "--no-remove"] if action == "install" else []
    done = _attend("apt-get", *_OPTIONS, *unasked, action, *words)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise KitError(
            f"apt-get {action} failed: {' '.join(said)}",
            _cure(" ".join(said), action, *words),
            ExitCode.UNFIT_ENVIRONMENT,
        )


def _cure(said: str, *words: str) -> str:
    if "dpkg --configure" in said:
        return "dpkg --configure -a; then plm tools again"
    if words == ("update",):
        return "apt-get update (does the mirror answer?); then plm tools again"
    # By hand it asks before it removes anything.
    return f"{shlex.join(['apt-get', *words])}; then plm tools again"


def _attend(*command: str) -> subprocess.CompletedProcess[str]:
    # Cut off it would leave packages half-way in: told to end, it ends after the one that it has in hand.
    return children.attend(
        children.LongOne(
            command=command,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            cwd=Path("/"),
            timeout_s=_INSTALLED_WITHIN_S,
            cure="ps -ef | grep dpkg (what does it wait for?); then plm tools again",
            # SIGTERM it does not catch: it would leave dpkg behind, unpacking.
            ends_at=signal.SIGINT,
        )
    )
