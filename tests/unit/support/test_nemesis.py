"""The nemesis: a seed chooses the same victims, never all, each kind in time; a kill without effect is no fault."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.history import History, read_history
from support.nemesis import Nemesis, Target, choose, targets


class Pods:
    """Pods whose containers can be killed; the immortal ones stay as they are."""

    def __init__(
        self, count: int, immortal: set[str] | None = None, single: tuple[str, ...] = ()
    ) -> None:
        names = [f"node-m{number:02d}-x" for number in range(count)]
        self.generation = dict.fromkeys([*names, *single], 1)
        self._immortal = immortal or set()

    def get(self, *arguments: str) -> list[Mapping[str, Any]]:
        assert arguments == ("pods", "-l", "plm.dev/chaos=allowed")
        return [
            {
                "metadata": {
                    "name": name,
                    "labels": {"app.kubernetes.io/component": name.split("-")[0]},
                },
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
    assert choose(chance, [Target("only", "c1", "node")], 5) == []


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


def kinds_bitten(path: Path) -> set[str]:
    return {event.value["kind"] for event in read_history(path) if event.value["bit"]}


def test_each_kind_bites_in_as_many_rounds_as_there_are_kinds(tmp_path: Path) -> None:
    for seed in range(100):
        pods = Pods(54, single=("ledger-x", "gateway-x"))
        path = tmp_path / f"{seed}.jsonl"
        with History(path) as history:
            nemesis = Nemesis(seeded(seed), pods, pods.kill, history, victims_max=3)
            for _ in range(3):
                nemesis.prove(nemesis.strike())
        assert kinds_bitten(path) == {"node", "ledger", "gateway"}, f"seed {seed}"


def test_a_kind_that_was_hit_in_vain_is_hit_again(tmp_path: Path) -> None:
    pods = Pods(54, immortal={"ledger-x"}, single=("ledger-x",))
    path = tmp_path / "history.jsonl"
    ticks = iter(range(10_000))
    with History(path) as history:
        nemesis = Nemesis(seeded(5), pods, pods.kill, history, 1, lambda: next(ticks))
        for _ in range(4):
            nemesis.prove(nemesis.strike())
        assert kinds_bitten(path) == {"node"}
        pods.generation["ledger-x"] = 2
        pods._immortal.clear()
        nemesis.prove(nemesis.strike())
    assert kinds_bitten(path) == {"node", "ledger"}
