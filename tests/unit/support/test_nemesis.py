"""The nemesis: the same seed chooses the same victims, never all of them, and a kill without effect is no fault."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.history import History, read_history
from support.nemesis import Nemesis, Target, choose, targets


class Pods:
    """Pods whose containers can be killed; the immortal ones stay as they are."""

    def __init__(self, count: int, immortal: set[str] | None = None) -> None:
        self.generation = {f"node-m{number:02d}-x": 1 for number in range(count)}
        self._immortal = immortal or set()

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        assert arguments == ("pods", "-l", "plm.dev/chaos=allowed")
        return [
            {
                "metadata": {"name": name},
                "status": {
                    "containerStatuses": [{"ready": True, "containerID": f"{name}#{generation}"}]
                },
            }
            for name, generation in self.generation.items()
        ]

    def kill(self, pod: str) -> None:
        if pod not in self._immortal:
            self.generation[pod] += 1


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable, not secret


def test_the_same_seed_chooses_the_same_victims() -> None:
    among = targets(Pods(50))
    first, second = ([choose(seeded(7), among, 3) for _ in range(5)] for _ in range(2))
    assert first == second


def test_somebody_is_always_left() -> None:
    chance = seeded(1)
    for _ in range(100):
        assert len(choose(chance, targets(Pods(2)), 5)) == 1
    assert choose(chance, [Target("only", "c1")], 5) == []


def test_a_replaced_container_is_the_proof(tmp_path: Path) -> None:
    pods = Pods(4, immortal={"node-m01-x"})
    path = tmp_path / "history.jsonl"
    ticks = iter(range(100))
    with History(path) as history:
        nemesis = Nemesis(seeded(3), pods, pods.kill, history, clock=lambda: next(ticks))
        victims = targets(pods)[:2]
        for victim in victims:
            pods.kill(victim.pod)
        nemesis.prove(victims)
        assert nemesis.strike()
    bites = {event.value["victim"]: event.value["bit"] for event in read_history(path)}
    assert bites == {"node-m00-x": True, "node-m01-x": False}
