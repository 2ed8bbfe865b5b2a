"""A terminal's other end: what a program says on it."""

import os
import select

_PATIENCE_S = 30


def read_until(terminal: int, words: bytes) -> bytes:
    """What it says, up to these words and a little: it comes in pieces, the last perhaps after the program's end."""
    seen = b""
    while words not in seen:
        assert select.select([terminal], [], [], _PATIENCE_S)[0], seen
        seen += os.read(terminal, 65_536)
    return seen
