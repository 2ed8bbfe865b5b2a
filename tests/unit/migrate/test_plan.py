"""Which migrations are due: in order, once, and never over a history that differs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plm.migrate import plan
from plm.migrate.plan import BadMigrationsError

FILES = {"001_init_ledger.sql": "a", "002_add_index.sql": "b", "003_drop_index.sql": "c"}
MIGRATIONS = plan.parse(FILES)
APPLIED = {migration.number: migration.checksum for migration in MIGRATIONS}


@given(st.integers(0, 3))
def test_what_is_not_applied_yet_is_due_in_order(count: int) -> None:
    applied = {number: APPLIED[number] for number in range(1, count + 1)}
    assert plan.due(MIGRATIONS, applied) == MIGRATIONS[count:]


@given(st.sampled_from(sorted(APPLIED)), st.text(min_size=1))
def test_a_file_that_was_changed_after_it_ran_is_named(number: int, extra: str) -> None:
    names = sorted(FILES)
    changed = {**FILES, names[number - 1]: FILES[names[number - 1]] + extra}
    with pytest.raises(BadMigrationsError, match=names[number - 1]):
        plan.due(plan.parse(changed), APPLIED)


def test_a_database_from_the_future_is_left_alone() -> None:
    with pytest.raises(BadMigrationsError, match=r"\[3\]"):
        plan.due(MIGRATIONS[:2], APPLIED)


def test_a_hole_in_the_history_is_not_filled() -> None:
    with pytest.raises(BadMigrationsError, match=r"002_add_index\.sql comes before"):
        plan.due(MIGRATIONS, {1: APPLIED[1], 3: APPLIED[3]})


@pytest.mark.parametrize(
    "files",
    [
        {"1_init.sql": ""},
        {"001-init.sql": ""},
        {"001_Init.sql": ""},
        {"002_init.sql": ""},
        {"001_init.sql": "", "003_more.sql": ""},
        {"001_init.sql": "", "001_more.sql": ""},
    ],
)
def test_names_and_numbers_leave_no_doubt_about_the_order(files: dict[str, str]) -> None:
    with pytest.raises(BadMigrationsError):
        plan.parse(files)
