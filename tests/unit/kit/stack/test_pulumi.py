"""What Pulumi says without a terminal: one line when all went well, everything when not."""

from pathlib import Path

import pytest
from plmkit.console import ExitCode, KitError
from plmkit.stack import Workspace, pulumi
from plmkit.state import Places
from support.programs import put

EVENTS = "".join(f" +  kubernetes:core/v1:Service service-{n} created (0.1s)\n" for n in range(150))
MADE = f"Updating (tiny):\n{EVENTS}\nResources:\n    + 53 created\n\nDuration: 58s\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Whose pulumi says what lies in `said`, and a word on the other stream, and ends with what lies in `code`."""
    script = f"cat {tmp_path}/said; echo oh >&2; exit $(cat {tmp_path}/code)"
    put(tmp_path / "programs", "pulumi", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    return Workspace(Places(tmp_path, tmp_path / "cache", tmp_path / "state"))


def answer(workspace: Workspace, said: str, code: int) -> None:
    (workspace.places.checkout / "said").write_text(said)
    (workspace.places.checkout / "code").write_text(str(code))


@pytest.mark.parametrize(
    ("block", "counts"),
    [
        ("    + 53 created\n", "53 created"),
        ("    53 unchanged\n", "53 unchanged"),
        (
            "    + 1 created\n    ~ 2 updated\n    +-1 replaced\n    4 changes. 49 unchanged\n",
            "1 created, 2 updated, 1 replaced, 49 unchanged",
        ),
        ("    - 1 deleted\n    1 change. 52 unchanged\n", "1 deleted, 52 unchanged"),
    ],
)
def test_the_summary_is_the_counts_of_resources(block: str, counts: str) -> None:
    told = f"{EVENTS}\nResources:\n{block}\nDuration: 58s\n"
    assert pulumi.summary(told) == counts
    assert pulumi.summary(told.replace("\n\nDuration: 58s\n", "")) == counts


def test_a_success_is_one_line(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    answer(workspace, MADE, 0)
    assert pulumi.run_quietly(workspace, ["up"]) == 0
    assert capfd.readouterr() == ("", "pulumi: 53 created\n")
    answer(workspace, "something else altogether", 0)
    pulumi.run_quietly(workspace, ["up"])
    assert capfd.readouterr() == ("", "pulumi: done\n")


def test_of_a_failure_nothing_is_kept_back(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(workspace, MADE, 255)
    assert pulumi.run_quietly(workspace, ["up"]) == 255
    assert capfd.readouterr() == ("", f"{MADE}oh\n")


def test_an_interrupted_pulumi_unlocks_before_it_ends_and_what_it_said_is_told(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = workspace.places.checkout / "lock"
    unlocks = f"echo cancelling; sleep 1; rm {lock}; echo unlocked; exit 1"
    script = f"trap '{unlocks}' INT; touch {lock}; echo creating Postgres; kill -INT $PPID"
    put(workspace.places.checkout / "programs", "pulumi", f"{script}; while :; do sleep 0.05; done")
    with pytest.raises(KeyboardInterrupt):
        pulumi.run_quietly(workspace, ["up"])
    assert not lock.exists()
    out, talk = capfd.readouterr()
    assert out == ""
    assert talk.splitlines() == [
        "waiting until pulumi has ended what it is at; once more to end it at once",
        "creating Postgres",
        "cancelling",
        "unlocked",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [("KILL", ", as the kernel does where memory runs out"), ("SEGV", ""), ("TERM", "")],
)
def test_who_killed_it_is_told_and_that_it_may_go_on(
    workspace: Workspace, capfd: pytest.CaptureFixture[str], name: str, why: str
) -> None:
    """A plain failure would send people to a stack that nothing is wrong with."""
    put(
        workspace.places.checkout / "programs", "pulumi", f"echo creating Postgres; kill -{name} $$"
    )
    for deploy in (pulumi.run_quietly, pulumi.show):
        with pytest.raises(KitError) as raised:
            deploy(workspace, ["up"])
        assert raised.value.what == f"pulumi up was killed by SIG{name}{why}"
        assert raised.value.cure.startswith("the same command again: it removes the lock")
        assert raised.value.exit_code == ExitCode.UNFIT_ENVIRONMENT
        assert capfd.readouterr().err == "creating Postgres\n", "what it said is not lost"
    with pytest.raises(KitError) as raised:
        pulumi.run(workspace, "stack", "ls")
    assert raised.value.what == f"pulumi stack was killed by SIG{name}{why}"
    assert raised.value.cure == "the same command again"


def test_a_full_disk_is_told_where_to_make_room(workspace: Workspace) -> None:
    """A look at the cluster would show that all is well there."""
    state = workspace.places.state
    script = f"echo 'error: write {state}/pulumi/x: no space left on device' >&2; exit 255"
    put(workspace.places.checkout / "programs", "pulumi", script)
    with pytest.raises(KitError, match="no space left on device") as raised:
        pulumi.run(workspace, "stack", "ls")
    assert raised.value.cure.startswith(f"make room where {state} lies")
    assert raised.value.exit_code == ExitCode.UNFIT_ENVIRONMENT


def test_a_signal_without_a_name_has_its_number(workspace: Workspace) -> None:
    put(workspace.places.checkout / "programs", "pulumi", "kill -40 $$")
    with pytest.raises(KitError, match=r"pulumi up was killed by signal 40$"):
        pulumi.show(workspace, ["up"])


def test_an_end_by_a_key_that_pulumi_read_is_an_interruption(workspace: Workspace) -> None:
    """Its display reads the terminal itself: nobody signals us. It ends with 8 when told twice."""
    answer(workspace, "", 8)
    with pytest.raises(KeyboardInterrupt):
        pulumi.show(workspace, ["up"])


def test_a_missing_pulumi_is_told_once(
    workspace: Workspace, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(KitError, match="pulumi is missing"):
        pulumi.run_quietly(workspace, ["up"])
    assert capfd.readouterr() == ("", "")


def test_its_own_display_never_goes_where_data_goes(
    workspace: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    answer(workspace, MADE, 0)
    assert pulumi.show(workspace, ["up"]) == 0
    assert capfd.readouterr() == ("", f"{MADE}oh\n")
