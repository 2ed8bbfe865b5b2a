"""A build that is cut off, by whomever and however, leaves nothing behind; and nothing older is kept for ever."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from plmkit import images
from plmkit.console import KitError
from plmkit.images.workshop import workshop
from plmkit.state import Places
from support.paper_builder import PaperBuilder, furnish, read_json
from support.programs import put
from support.waiting import wait_until

CLEARED = ["buildah", "rm", "--all"]
PRUNED = ["buildah", "rmi", "--prune"]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return furnish(tmp_path)


def scratch(places: Places) -> Path:
    return workshop(places).buildah.scratch


def test_what_a_build_needs_for_the_moment_goes_with_it(
    builder: PaperBuilder, places: Places
) -> None:
    images.ensure(places)
    assert not scratch(places).exists()
    assert CLEARED not in builder.asked, "nothing was cut off"


def test_what_a_killed_build_left_is_put_away_before_the_next_one(
    builder: PaperBuilder, places: Places
) -> None:
    images.ensure(places)
    (scratch(places) / "mmdebstrap.x7").mkdir(parents=True)
    builder.forget()
    images.ensure(places)
    assert builder.asked == [CLEARED]
    assert not scratch(places).exists()


def test_a_failed_build_puts_away_what_it_had(builder: PaperBuilder, places: Places) -> None:
    builder.refuse("--tag plm.local/postgres")
    with pytest.raises(KitError):
        images.ensure(places)
    assert builder.asked[-1] == CLEARED
    assert not scratch(places).exists()


def test_an_interruption_ends_the_builders_that_are_at_work(
    builder: PaperBuilder, places: Places, tmp_path: Path
) -> None:
    """They work in threads: a signal reaches plm alone, and leaving would wait for them."""
    real, pids = builder.folder / "programs" / "buildah", tmp_path / "pids"
    real.rename(real.with_name("paper-buildah"))
    script = f'[ $1 = bud ] && {{ echo $$ >> {pids}; exec sleep 60; }}; exec paper-buildah "$@"'
    put(real.parent, "buildah", script)

    def press() -> None:
        wait_until(lambda: pids.exists() and pids.read_text() != "", 20, "a builder is at work")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        images.ensure(places)
    assert time.monotonic() - began < 30, "they were waited for"
    thread.join()
    for pid in map(int, pids.read_text().split()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert builder.asked[-1] == CLEARED


def test_older_images_go_at_once_or_when_nobody_waits(
    builder: PaperBuilder, places: Places
) -> None:
    images.ensure(places)
    assert builder.asked[-1] == PRUNED
    (places.checkout / "services/plm/code.py").write_text("changed")
    builder.forget()
    images.ensure(places, keep_older=True)
    assert builder.built == ["services"]
    assert PRUNED not in builder.asked
    images.forget_older(places)
    assert builder.asked[-1] == PRUNED


def test_it_is_known_which_migrations_an_image_carries_also_of_older_ones(
    builder: PaperBuilder, places: Places
) -> None:
    first = images.ensure(places)["services"]
    (places.checkout / "content-services").write_text("code")
    (places.checkout / "services/plm/code.py").write_text("changed")
    second = images.ensure(places)["services"]
    (places.checkout / "content-services").write_text("a table")
    (places.checkout / "migrations/code.py").write_text("changed")
    third = images.ensure(places)["services"]
    noted = images.carried_migrations(places)
    assert list(noted) == [image.digest for image in (first, second, third)]
    assert noted[first.digest] == noted[second.digest] != noted[third.digest]


def test_what_pods_may_name_is_told_when_all_is_there_and_not_before(
    builder: PaperBuilder, places: Places
) -> None:
    references = places.cache / "images" / "references.json"
    builder.refuse("--tag plm.local/operator ")
    with pytest.raises(KitError):
        images.ensure(places)
    assert not references.exists()
    builder.refuse("")
    built = images.ensure(places)
    assert read_json(references) == {name: image.reference for name, image in built.items()}
