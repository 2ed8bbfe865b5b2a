"""How many of the waiting commands are decided together, so that one batch is decided while another is committed."""

BATCH_MAX = 512
# So few cost a commit of their own more than waiting for each other.
_TOGETHER = 8


def batch_size(waiting: int, flying: int) -> int:
    """How many of the waiting to take now; 0 means wait, for more of them or for the commit under way.

    `flying` commands are being committed, 0 when none are. Half of all that are under way is taken, so that callers who
    ask again as soon as they are answered do not all end up in the same batch with nobody to decide meanwhile.
    """
    if waiting * 2 < flying:
        return 0
    half = (waiting + flying + 1) // 2
    return min(waiting, max(half, _TOGETHER), BATCH_MAX)
