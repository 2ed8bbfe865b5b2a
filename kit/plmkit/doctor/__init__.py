"""Is this machine fit? Facts are gathered in one place and judged in another; nothing is changed."""

from plmkit.doctor.facts import gather
from plmkit.doctor.findings import Finding, judge
from plmkit.state import Places

__all__ = ["Finding", "examine"]


def examine(places: Places, *, is_embedded: bool = True) -> list[Finding]:
    """Every check with its outcome, in the order in which a cure makes sense."""
    return judge(gather(places), is_embedded=is_embedded)
