"""Debian packages: what is missing, and its installation without starting a daemon."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plmkit.console import ExitCode, KitError

_POLICY = Path("/usr/sbin/policy-rc.d")
_LISTS = Path("/var/lib/apt/lists")


def missing(packages: Sequence[str]) -> tuple[str, ...]:
    """Those that are not installed. Raises KitError where dpkg is none."""
    try:
        done = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\n", *packages],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise KitError(
            "this is no Debian: dpkg-query is missing",
            f"install yourself: {' '.join(packages)}",
            ExitCode.UNFIT_ENVIRONMENT,
        ) from None
    installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith("ii ")}
    return tuple(package for package in packages if package not in installed)


def install(packages: Sequence[str]) -> None:
    """Install them. Raises KitError with apt's last words."""
    if os.getuid() != 0:
        raise KitError(
            f"packages are missing: {' '.join(packages)}",
            f"apt-get install {' '.join(packages)}",
            ExitCode.UNFIT_ENVIRONMENT,
        )
    with _no_daemons():
        if not any(_LISTS.glob("*_Packages*")):
            _apt("update")
        try:
            _apt("install", "--yes", "--no-install-recommends", *packages)
        except KitError:
            # Lists that are older than the mirror name files that are gone.
            _apt("update")
            _apt("install", "--yes", "--no-install-recommends", *packages)


def _apt(*arguments: str) -> None:
    done = subprocess.run(
        ["apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
        raise KitError(
            f"apt-get {arguments[0]} failed: {' '.join(said)}",
            f"apt-get {' '.join(arguments)}",
            ExitCode.UNFIT_ENVIRONMENT,
        )


@contextmanager
def _no_daemons() -> Iterator[None]:
    """Packages of servers start them; ours run in the cluster or not at all."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
