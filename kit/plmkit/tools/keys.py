"""A family's content key: what is built is what the key says, so an equal key needs no build."""

import hashlib
from pathlib import Path

from plmkit.tools.recipes import LANGUAGE_EXEC, Family

_KEY_LENGTH = 16


def content_key(family: Family, folder: Path, go_version: str) -> str:
    """Over the sources, the recipe and the compiler. Tests are no part of a binary."""
    digest = hashlib.sha256(f"{go_version}\n{family!r}\n".encode())
    if family.name == LANGUAGE_EXEC.family:
        digest.update(repr(LANGUAGE_EXEC).encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.endswith("_test.go"):
            digest.update(f"{path.relative_to(folder)}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_KEY_LENGTH]
