"""One process at a time: whoever comes second is told so, and waits."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def take_turn(file: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold this file's lock. It ends with the process, however that ends, so nothing is ever left locked."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
