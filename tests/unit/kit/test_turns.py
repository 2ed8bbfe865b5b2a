"""Turns: one at a time, and whoever waits is told."""

import subprocess
import sys
import threading
from pathlib import Path

from plmkit.turns import take_turn


def test_the_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    waiting, order = threading.Event(), []

    def second() -> None:
        with take_turn(tmp_path / "turn", waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with take_turn(tmp_path / "turn", lambda: order.append("waited")):
        thread.start()
        assert waiting.wait(timeout=10)
        order.append("first")
    thread.join(timeout=10)
    assert order == ["first", "second"]


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    holder = (
        "import pathlib, sys, time; from plmkit.turns import take_turn\n"
        "with take_turn(pathlib.Path(sys.argv[1]), lambda: None):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "turn")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait(timeout=10)
    process.stdout.close()
    waited: list[None] = []
    with take_turn(tmp_path / "turn", lambda: waited.append(None)):
        assert waited == []
