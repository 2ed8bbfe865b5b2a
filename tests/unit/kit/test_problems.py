"""Exit codes of refusals: 1 is a verdict, 3 says that nothing can come here, 4 that the same command may get one."""

import re
from pathlib import Path

import pytest
from plm.domain.errors import Code
from plm.gateway.problems import STATUS_OF
from plmkit.console import ExitCode
from plmkit.problems import BAD_ANSWER, NO_ANSWER, UNREACHABLE, Problem

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "errors.md").read_text()
UNFIT = {Code.UNAUTHENTICATED, Code.FORBIDDEN, Code.DEBUG_DISABLED}
IN_PROGRESS = {Code.PAYMENT_IN_PROGRESS, Code.ATTEMPT_OPEN}


def family(title: str) -> set[Code]:
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return {Code(code) for code in re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)}


def exit_code(code: Code) -> ExitCode:
    return Problem(code, "said", status=STATUS_OF[code]).exit_code


def test_what_was_judged_ends_with_one() -> None:
    judged = (family("Refused") | family("Conflict")) - UNFIT - IN_PROGRESS
    assert len(judged) > 15
    assert {exit_code(code) for code in judged} == {ExitCode.CHECK_FAILED}


def test_what_is_not_judged_yet_ends_with_four() -> None:
    waiting = family("Unavailable") | IN_PROGRESS
    assert len(waiting) > 7
    assert {exit_code(code) for code in waiting} == {ExitCode.NO_ANSWER_YET}


def test_a_key_that_does_not_fit_ends_with_three() -> None:
    """As no credentials do: `plm verify ledger` ends with 1 where the ledger is broken, and nowhere else."""
    assert {exit_code(code) for code in UNFIT} == {ExitCode.UNFIT_ENVIRONMENT}


@pytest.mark.parametrize(
    ("problem", "ends_with"),
    [
        (Problem(UNREACHABLE, "refused"), ExitCode.UNFIT_ENVIRONMENT),
        (Problem(NO_ANSWER, "lost", effect_unknown=True), ExitCode.NO_ANSWER_YET),
        (Problem(NO_ANSWER, "HTTP 502", status=502), ExitCode.NO_ANSWER_YET),
        (Problem(BAD_ANSWER, "HTTP 404", status=404), ExitCode.UNFIT_ENVIRONMENT),
        (Problem(BAD_ANSWER, "lacks", status=200, effect_unknown=True), ExitCode.UNFIT_ENVIRONMENT),
    ],
)
def test_what_the_gateway_never_said_is_no_verdict(problem: Problem, ends_with: ExitCode) -> None:
    assert problem.exit_code is ends_with
    assert not problem.is_final
