"""The Go compiler: is it there, which version, and one build of one family, watched."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plmkit import groups
from plmkit.console import ExitCode, KitError
from plmkit.tools.recipes import Extra, Family

VERSION_MIN = (1, 26)
_WATCH_EVERY_S = 0.5
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
_LOG_LINES = 15
_ANSWER_WITHIN_S = 60.0
# Some hundred megabytes for the largest family. What has come stays: the next try goes on from there.
_FETCHED_WITHIN_S = 1800.0
# The largest takes a quarter of an hour on two cores.
_BUILT_WITHIN_S = 3 * 3600.0
_AGAIN = "plm tools (again: what is there already is kept)"

# Told after each look: packages compiled so far, packages there are in all (those in the compiler's cache are
# not compiled again), seconds so far.
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class Built:
    """What a build took."""

    seconds: float
    peak_mib: int
    compiled: int


def find_version() -> str:
    """What `go` on PATH says. Raises KitError when there is none, or an old one."""
    binary = shutil.which("go")
    wanted = ".".join(str(part) for part in VERSION_MIN)
    cure = f"install Go {wanted} or newer and put it on PATH: https://go.dev/dl"
    if binary is None:
        raise KitError("Go is missing", cure, ExitCode.UNFIT_ENVIRONMENT)
    version = ask_version(binary)
    if parse_version(version) < VERSION_MIN:
        raise KitError(f"Go is {version or 'broken'}", cure, ExitCode.UNFIT_ENVIRONMENT)
    return version


def ask_version(binary: str = "go") -> str:
    """What this compiler says; an empty string where it says nothing, or is none."""
    try:
        done = subprocess.run(
            [binary, "env", "GOVERSION"],
            capture_output=True,
            text=True,
            timeout=_ANSWER_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def parse_version(text: str) -> tuple[int, int]:
    """Major and minor of `go1.26.8`; zeros for what is no version."""
    parts = text.removeprefix("go").split(".")
    numbers = [part for part in parts[:2] if part.isdigit()]
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 else (0, 0)  # noqa: PLR2004 - major and minor


def environment() -> dict[str, str]:
    """Static binaries, pinned modules, no look at version control, the compiler that is there."""
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false -mod=readonly -trimpath",
    }


def build(
    family: Family, names: frozenset[str], folder: Path, into: Path, progress: Progress
) -> Built:
    """Build these programs of a family into a folder. A build that was killed goes on: the compiler keeps its cache.

    Raises KitError with the compiler's last words.
    """
    wanted = [program for program in family.programs if program.name in names]
    named = [each for each in wanted if each.package.rsplit("/", 1)[-1] == each.name]
    # `go build -o folder/` names binaries after packages; the others need a run of their own.
    runs = [(f"{into}/", [each.package for each in named])] if named else []
    runs += [(str(into / each.name), [each.package]) for each in wanted if each not in named]
    tags = ["-tags", family.tags] if family.tags else []
    began = time.monotonic()
    progress(0, 0, 0.0)
    packages = _count_packages([*tags, *(each.package for each in wanted)], folder)
    total = Built(time.monotonic() - began, 0, 0)
    for target, some in runs:
        command = ["go", "build", "-v", *tags, "-ldflags", family.link_flags, "-o", target, *some]
        total = _added(total, _run(command, folder, _since(total, packages, progress)))
    return total


def _count_packages(arguments: list[str], folder: Path) -> int:
    """How many packages these programs are made of. Fetches their modules where they are missing."""
    done = _go(["list", "-deps", *arguments], folder)
    if done.returncode != 0:
        lines = "\n".join(done.stderr.strip().splitlines()[-_LOG_LINES:])
        raise KitError(f"the modules of {folder.name} cannot be had: {lines}", _AGAIN)
    return len(done.stdout.splitlines())


def _since(before: Built, packages: int, progress: Progress) -> Callable[[int, float], None]:
    """The same progress, for a run that comes after others."""
    return lambda compiled, seconds: progress(
        before.compiled + compiled, packages, before.seconds + seconds
    )


def _added(before: Built, built: Built) -> Built:
    return Built(
        before.seconds + built.seconds,
        max(before.peak_mib, built.peak_mib),
        before.compiled + built.compiled,
    )


def copy_extra(extra: Extra, folder: Path, into: Path) -> None:
    """Copy a file of a module that the family's go.mod pins."""
    done = _go(["list", "-m", "-json", extra.module], folder)
    if done.returncode != 0:
        raise KitError(f"module {extra.module} cannot be had: {done.stderr.strip()}", _AGAIN)
    source = Path(json.loads(done.stdout)["Dir"]) / extra.path
    target = into / source.name
    target.write_bytes(source.read_bytes())
    target.chmod(0o755)


def _go(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return groups.run(
        ["go", *arguments],
        timeout_s=_FETCHED_WITHIN_S,
        cure=_AGAIN,
        env=environment(),
        cwd=folder,
    )


def _run(command: list[str], folder: Path, progress: Callable[[int, float], None]) -> Built:
    started = time.monotonic()
    lines: list[str] = []
    peak = 0
    with groups.running(command, cwd=folder, env=environment(), stderr=subprocess.PIPE) as process:
        reader = threading.Thread(target=_collect, args=(process, lines), daemon=True)
        reader.start()
        while (code := _wait(process)) is None:
            peak = max(peak, _session_mib(process.pid))
            seconds = time.monotonic() - started
            groups.check_time(command, seconds, timeout_s=_BUILT_WITHIN_S, cure=_AGAIN)
            progress(_compiled(lines), seconds)
        reader.join()
    if code != 0:
        raise KitError(
            f"{' '.join(command[:2])} in {folder.name} failed: " + "\n".join(lines[-_LOG_LINES:]),
            "plm tools (what was compiled is kept)",
        )
    return Built(time.monotonic() - started, peak, _compiled(lines))


def _compiled(lines: list[str]) -> int:
    """`go build -v` names each package that it compiles; its other talk starts with its own name."""
    return sum(1 for line in lines if not line.startswith("go: "))


def _wait(process: subprocess.Popen[str]) -> int | None:
    """Its exit code, or None when it goes on."""
    try:
        return process.wait(_WATCH_EVERY_S)
    except subprocess.TimeoutExpired:
        return None


def _collect(process: subprocess.Popen[str], lines: list[str]) -> None:
    assert process.stderr is not None  # noqa: S101 - asked for by PIPE
    # Closed when the build is given up: nobody asks what it said.
    with suppress(ValueError):
        lines.extend(line.rstrip() for line in process.stderr)


def _session_mib(session: int) -> int:
    """Resident memory of all processes of a session."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(errors="replace").rsplit(") ", 1)[1].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == session:
            total += int(fields[21]) * _PAGE_KIB
    return total // 1024
