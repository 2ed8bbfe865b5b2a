"""How `plm` talks: data to stdout, talk to stderr, progress only on a terminal, errors with their cure."""

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any


class ExitCode(IntEnum):
    """Documented in docs/operating.md; scripts rely on them."""

    GOOD = 0
    CHECK_FAILED = 1
    WRONG_USAGE = 2
    UNFIT_ENVIRONMENT = 3


class Output(StrEnum):
    """What -o takes."""

    TEXT = "text"
    JSON = "json"


class KitError(Exception):
    """What went wrong, and the next command to type. Printed without a traceback."""

    def __init__(self, what: str, cure: str, exit_code: ExitCode = ExitCode.CHECK_FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure
        self.exit_code = exit_code


def say(text: str) -> None:
    """One line of talk, to stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def emit(text: str) -> None:
    """Data, to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Data as JSON, to stdout."""
    emit(json.dumps(value, indent=2))


def is_interactive() -> bool:
    """Whether progress may be drawn: stderr is a terminal."""
    return sys.stderr.isatty()
