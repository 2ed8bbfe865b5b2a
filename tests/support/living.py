"""Whether a process lives, of whomever it is the child."""

from pathlib import Path


def lives(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    try:
        # Whoever has that number may have any bytes for a name. It may also end between the opening and the reading.
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
