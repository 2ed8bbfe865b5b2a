"""`plm dev`: the steps of a round, what it tells, and a watch that no editor and no broken file can end."""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from plmkit import developing, images, rolling
from plmkit.commands import dev, up
from plmkit.console import KitError
from plmkit.developing import Round
from plmkit.images import Image
from plmkit.kubectl import Kubectl
from plmkit.stack import Workspace, making
from plmkit.state import Places
from support.kit_process import Kit

REFERENCE = "plm.local/services@sha256:02"


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    made = Kit(tmp_path)
    made.state.mkdir()
    (made.state / "kubeconfig").touch()
    return made


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A checkout with one file in each folder that is watched."""
    for folder in dev._WATCHED:
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "code.py").touch()
    return Places(tmp_path, tmp_path / "cache", tmp_path / "state")


class Steps(list[str]):
    """Stands in for all that works, and writes down the order."""

    def __init__(self) -> None:
        super().__init__()
        self.patches: Mapping[str, Any] = {}
        self.why = ""

    def ensure(self, _places: Any, *, say: Any, keep_older: bool) -> dict[str, Image]:
        assert keep_older, "somebody is waiting"
        self.append("build")
        return {"services": Image("services", "k1", "sha256:02", 1.0)}

    def load(self, *_arguments: Any) -> None:
        self.append("import")

    def set_images(self, _workspace: Any, references: Mapping[str, str]) -> None:
        assert references == {"services": REFERENCE}
        self.append("set images")

    def roll(self, _kubectl: Any, patches: Mapping[str, Any]) -> None:
        self.append(f"patch {', '.join(patches)}")

    def deploy(self, _workspace: Any) -> None:
        self.append("pulumi")

    def forget_older(self, _places: Any) -> None:
        self.append("tidy")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps()
    monkeypatch.setattr(images, "ensure", made.ensure)
    monkeypatch.setattr(images, "load", made.load)
    monkeypatch.setattr(images, "forget_older", made.forget_older)
    monkeypatch.setattr(making, "set_images", made.set_images)
    monkeypatch.setattr(up, "deploy", made.deploy)
    monkeypatch.setattr(developing, "find_kubectl", lambda *_: Kubectl("", (), is_embedded=True))
    monkeypatch.setattr(rolling, "look", lambda _kubectl: [])
    monkeypatch.setattr(rolling, "outdated", lambda *_: made.patches)
    monkeypatch.setattr(rolling, "beyond_patches", lambda *_: made.why)
    monkeypatch.setattr(rolling, "roll", made.roll)
    return made


def rolled(kit: Kit) -> bool:
    return Workspace(Places(kit.folder, kit.cache, kit.state)).rolled.exists()


def test_code_is_built_imported_written_into_the_stack_and_patched(kit: Kit, steps: Steps) -> None:
    steps.patches = {"gateway": {}, "ledger": {}}
    done = kit.call("dev", "--once")
    assert steps == ["build", "import", "set images", "patch gateway, ledger", "tidy"]
    assert done.stdout.startswith("gateway, ledger rolled in ")
    assert rolled(kit), "the next plm up must look for itself"


def test_what_patches_cannot_do_pulumi_does_and_it_is_said_why(kit: Kit, steps: Steps) -> None:
    steps.patches, steps.why = {"pg": {}}, "pg has a new image"
    done = kit.call("dev", "--once")
    assert steps == ["build", "import", "set images", "pulumi", "tidy"]
    assert done.stdout.startswith("pg rolled by pulumi, as pg has a new image, in ")
    assert "pg has a new image: that is Pulumi's work" in done.stderr
    assert not rolled(kit), "Pulumi knows what it did"


def test_where_nothing_has_changed_nothing_is_rolled(kit: Kit, steps: Steps) -> None:
    done = kit.call("dev", "--once")
    assert steps == ["build", "import", "set images", "tidy"]
    assert done.stdout.startswith("nothing to be rolled in ")


def test_a_round_is_one_line_of_json(kit: Kit, steps: Steps) -> None:
    """Round after round they are a stream, as the lines of plm logs are."""
    steps.patches = {"gateway": {}}
    done = kit.call("dev", "--once", "-o", "json")
    [line] = done.stdout.splitlines()
    assert json.loads(line).items() >= {"rolled": ["gateway"], "whyPulumi": ""}.items()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(dev, "_QUIET_S", 0.01)


def changes(places: Places) -> Iterator[None]:
    return dev._changes(places.checkout, dev._stamps(places.checkout))


@pytest.mark.parametrize("folder", dev._WATCHED)
def test_a_saved_a_new_and_a_removed_file_are_changes(
    places: Places, folder: str, quick: None
) -> None:
    file = places.checkout / folder / "code.py"
    seen = changes(places)
    os.utime(file, (1, 1))
    next(seen)
    file.with_name("new.py").touch()
    next(seen)
    file.unlink()
    next(seen)


def test_what_an_editor_puts_beside_a_file_is_no_change(places: Places) -> None:
    before = dev._stamps(places.checkout)
    for name in (".code.py.swp", "code.py~", ".#code.py", "#code.py#", "__pycache__/code.pyc"):
        path = places.checkout / "services/plm" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert dev._stamps(places.checkout) == before


def test_files_that_come_and_go_while_it_looks_do_not_end_the_watch(places: Places) -> None:
    """As those of an editor that saves: there in the listing, gone when asked for."""
    folder, end = places.checkout / "services/plm", threading.Event()

    def come_and_go() -> None:
        while not end.is_set():
            inner = folder / "inner"
            inner.mkdir()
            files = [inner / f"{number}" for number in range(50)]
            for file in files:
                file.touch()
            for file in files:
                file.unlink()
            inner.rmdir()

    editor = threading.Thread(target=come_and_go)
    editor.start()
    try:
        looks = [len(dev._stamps(places.checkout)) for _ in range(200)]
        give_up_at = time.monotonic() + 20
        while max(looks) == len(dev._WATCHED) and time.monotonic() < give_up_at:
            looks.append(len(dev._stamps(places.checkout)))
    finally:
        end.set()
        editor.join()
    assert max(looks) > len(dev._WATCHED), "it never saw one"


@pytest.mark.parametrize(
    "error", [KitError("step 3: no space", "plm images"), OSError("disk full")]
)
def test_a_round_that_fails_is_told_and_the_watch_goes_on(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    outcomes: list[Round | Exception] = [error, Round(("gateway",))]

    def bring(*_: Any) -> Round:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(developing, "bring", bring)
    monkeypatch.setattr(developing, "tidy", lambda _workspace: None)
    monkeypatch.setattr(dev, "_changes", lambda *_: iter([None, None]))
    done = kit.call("dev")
    assert str(error) in done.stderr
    assert done.stdout.startswith("gateway rolled in ")
