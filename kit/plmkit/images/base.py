"""The base image: a small Debian from the machine's own package mirror, in place of debian:12-slim."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from plmkit import groups
from plmkit.console import KitError
from plmkit.images.buildah import Buildah

REFERENCE = "plm.local/debian"
# apt gives up by itself a download that stands still.
_BUILT_WITHIN_S = 1800.0
_HOOK = Path(__file__).parent / "base_hook.sh"
_SUITES = ("bookworm", "bookworm-updates", "bookworm-security")
_LINE = re.compile(
    r"\s*deb\s+(?:\[[^\]]*\]\s+)?(?P<address>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]+)"
)
_LEFT_OUT = ("doc", "man", "locale", "info")
_OPTIONS = (
    "--variant=apt",
    "--mode=root",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--include=usr-is-merged",  # without it the whole of perl comes along
)


def content_key() -> str:
    """Of the recipe; which packages the mirror has that day is not part of it."""
    decisive = f"{_SUITES}{_LEFT_OUT}{_OPTIONS}".encode()
    return hashlib.sha256(_HOOK.read_bytes() + decisive).hexdigest()[:16]


def source_lines(texts: list[str]) -> tuple[str, ...]:
    """`deb` lines for Debian 12 out of apt's source files, both formats; none where these name no mirror of it.

    Without lines mmdebstrap takes Debian's own mirror, with its updates and security.
    """
    found = [line for text in texts for line in (*_one_line(text), *_deb822(text))]
    # Other people's packages may have a suite of that name too: theirs is no mirror of Debian.
    found.sort(key=lambda line: "debian" not in line.split()[1])
    by_suite = {line.split()[2]: line for line in reversed(found)}
    if _SUITES[0] not in by_suite:
        return ()
    return tuple(by_suite[suite] for suite in _SUITES if suite in by_suite)


def _one_line(text: str) -> Iterator[str]:
    for line in text.splitlines():
        words = _LINE.match(line)
        if words and words["suite"] in _SUITES and "main" in words["components"].split():
            yield f"deb {words['address']} {words['suite']} main"


def _deb822(text: str) -> Iterator[str]:
    for paragraph in text.split("\n\n"):
        fields = dict(
            line.split(":", 1)
            for line in paragraph.splitlines()
            if ":" in line and not line.startswith(("#", " "))
        )
        address = fields.get("URIs", "").split()
        is_enabled = fields.get("Enabled", "").strip() != "no"
        has_main = "main" in fields.get("Components", "").split()
        if "deb" in fields.get("Types", "").split() and address and is_enabled and has_main:
            for suite in fields.get("Suites", "").split():
                if suite in _SUITES:
                    yield f"deb {address[0]} {suite} main"


def build(buildah: Buildah) -> None:
    """Make the base and store it under REFERENCE. Raises KitError with mmdebstrap's last words."""
    folder = Path("/etc/apt")
    texts = [
        path.read_text()
        for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*")))
        if path.is_file() and path.suffix in {".list", ".sources"}
    ]
    buildah.scratch.mkdir(exist_ok=True)
    archive = buildah.scratch / "base.tar"
    _bootstrap(archive, source_lines(texts))
    buildah.store_root(archive, REFERENCE)
    archive.unlink()


def _bootstrap(archive: Path, lines: tuple[str, ...]) -> None:
    exclude = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _LEFT_OUT]
    command = [
        # However it ends, gone with it is what it has mounted in its root, and all that it has started.
        "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
        "mmdebstrap", *_OPTIONS,
        *exclude, "--dpkgopt=path-include=/usr/share/doc/*/copyright", "--dpkgopt=force-unsafe-io",
        f'--customize-hook=sh {_HOOK} "$1"', "bookworm", str(archive), *lines,
    ]  # fmt: skip
    cure = "plm images (again; is the mirror reachable?)"
    environment = {**os.environ, "TMPDIR": str(archive.parent)}
    done = groups.run(command, timeout_s=_BUILT_WITHIN_S, cure=cure, env=environment)
    if done.returncode != 0:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise KitError(f"mmdebstrap failed: {said}", cure)
