"""The one who kills: seeded choice among those that consent by label, the kill, and the proof that it bit."""

import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from support.history import History

CONSENT = "plm.dev/chaos=allowed"
_KIND = "app.kubernetes.io/component"


class Reader(Protocol):
    """What can look at pods: kubectl."""

    def get(self, *arguments: str) -> list[Mapping[str, Any]]: ...


@dataclass(frozen=True)
class Target:
    """One running container that may be killed."""

    pod: str
    container_id: str
    kind: str


def targets(reader: Reader) -> list[Target]:
    """Ready containers of the pods that consent, in a stable order."""
    found = [
        Target(pod["metadata"]["name"], container["containerID"], pod["metadata"]["labels"][_KIND])
        for pod in reader.get("pods", "-l", CONSENT)
        if "deletionTimestamp" not in pod["metadata"]
        for container in pod.get("status", {}).get("containerStatuses", ())
        if container["ready"]
    ]
    return sorted(found, key=lambda target: target.pod)


def choose(
    chance: random.Random, among: Sequence[Target], victims_max: int, bitten: Collection[str] = ()
) -> list[Target]:
    """One to victims_max of them; never all, or nobody could carry on.

    One is of a kind that no fault has bitten yet, as long as there is such a kind: among many nodes, chance alone
    would leave the ledger out.
    """
    count = min(chance.randint(1, victims_max), max(0, len(among) - 1))
    chosen = chance.sample(list(among), count)
    owed = [target for target in among if target.kind not in bitten]
    if chosen and owed and not set(chosen) & set(owed):
        chosen[0] = chance.choice(owed)
    return chosen


@dataclass
class Nemesis:
    """Kills by SIGKILL and writes each fault, and whether it bit, into the history."""

    chance: random.Random
    reader: Reader
    kill: Callable[[str], object]
    history: History
    victims_max: int = 2
    clock: Callable[[], float] = time.monotonic
    _bitten: set[str] = field(default_factory=set)

    def strike(self) -> list[Target]:
        """Kill once; returns the victims."""
        victims = choose(self.chance, targets(self.reader), self.victims_max, self._bitten)
        for victim in victims:
            self.kill(victim.pod)
        return victims

    def prove(self, victims: Sequence[Target], *, within_s: float = 30.0) -> None:
        """Write down for each victim whether another container has taken its place."""
        give_up_at = self.clock() + within_s
        missing = {victim.pod: victim for victim in victims}
        while missing and self.clock() < give_up_at:
            now = {target.pod: target.container_id for target in targets(self.reader)}
            for pod in [
                pod for pod in missing if now.get(pod, "") not in {"", missing[pod].container_id}
            ]:
                self._note(missing.pop(pod), bit=True, after=now[pod])
        for victim in missing.values():
            self._note(victim, bit=False, after="")

    def _note(self, victim: Target, *, bit: bool, after: str) -> None:
        if bit:
            self._bitten.add(victim.kind)
        value = {
            "victim": victim.pod,
            "kind": victim.kind,
            "before": victim.container_id,
            "after": after,
            "bit": bit,
        }
        self.history.add("fault", self.history.next_number(), value=value)
