"""Status and conditions: present from birth, moved only when they change, read by kubectl wait and kstatus."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from plmop.conditions import (
    CONDITION_TYPES,
    Phase,
    Reason,
    Verdict,
    conditions_of,
    ready_of,
    status_patch,
)

VERDICTS = st.builds(
    Verdict, st.sampled_from(Phase), st.sampled_from(Reason), st.text(max_size=20), st.booleans()
)
STATUSES = st.dictionaries(
    st.sampled_from(("phase", "peers", "observedGeneration", "conditions")),
    st.integers() | st.text(max_size=3) | st.lists(st.dictionaries(st.text(), st.text())),
)


@given(old=STATUSES, new=STATUSES)
def test_a_patch_is_pure_and_leads_to_the_new_status(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    """Equal input gives an equal patch, nothing is changed in place, and the same status twice is no write."""
    before = copy.deepcopy((old, new))
    patch = status_patch(old, new)
    assert (old, new) == before
    assert patch == status_patch(old, new)
    assert patch == ({} if old == new else new)
    assert status_patch(new, new) == {}


@given(first=VERDICTS, second=VERDICTS)
def test_a_time_moves_when_its_condition_does_and_only_then(
    first: Verdict, second: Verdict
) -> None:
    before = conditions_of(first, generation=1, now="2026-01-01T00:00:00Z")
    after = conditions_of(second, generation=2, now="2026-01-02T00:00:00Z", before=before)
    assert [each["type"] for each in before] == list(CONDITION_TYPES)
    assert [each["type"] for each in after] == list(CONDITION_TYPES)
    for old, new in zip(before, after, strict=True):
        assert new["observedGeneration"] == 2
        has_moved = old["lastTransitionTime"] != new["lastTransitionTime"]
        assert has_moved == (old["status"] != new["status"])


@given(verdict=VERDICTS)
def test_conditions_never_contradict_each_other(verdict: Verdict) -> None:
    """Ready excludes the rest; what is stalled makes no progress; Reconciling is Progressing under kstatus' name."""
    found = {
        each["type"]: each["status"] for each in conditions_of(verdict, generation=1, now="now")
    }
    assert found["Reconciling"] == found["Progressing"]
    if found["Ready"] == "True":
        assert found["Progressing"] == found["Degraded"] == "False"
    if found["Stalled"] == "True":
        assert found["Progressing"] == "False"


def test_a_paused_object_is_neither_ready_nor_not() -> None:
    status = {
        "conditions": conditions_of(
            Verdict(Phase.PAUSED, Reason.PAUSED, ""), generation=1, now="now"
        )
    }
    assert ready_of(status) == ("Unknown", "Paused")
    assert ready_of({}) == ("", "")
