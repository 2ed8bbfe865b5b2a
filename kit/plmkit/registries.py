"""Where images of another cluster are kept: the name of a registry and of a path in it. Pure."""

import re

from plmkit.console import ExitCode, KitError

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]+)?(?:/{_PART})*/?")


def check(registry: str) -> None:
    """Raise KitError for what no reference of an image can begin with: a URL, say, which is soon copied."""
    if not _NAME.fullmatch(registry):
        raise KitError(
            f"{registry!r} is no registry: that is a host, a port where needed, and a path in lower case",
            "give it without https://, such as registry.example.com/plm",
            ExitCode.WRONG_USAGE,
        )
