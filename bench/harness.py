"""What all benches share: races in turns, medians, ratios with floors, a table for people and JSON for machines.

Rules: ours and the peers run interleaved in one process on the same data; ours runs twice under two names, and where
the two differ by more than a tenth, the case is invalid, neither good nor bad; the ratio is the result.
"""

import json
import os
import platform
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from time import thread_time_ns

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
AGAIN = "ours again"
OURS = "ours"
NOISE_MAX = 0.1
# "On a par": nobody tells a tenth apart, and the machine's own noise is as large.
PAR = 0.9
_PERCENT = 100


@dataclass(frozen=True)
class Row:
    """One contender: microseconds or milliseconds, or a rate, as `unit` says."""

    name: str
    p50: float
    p99: float
    lowest: float  # of the repeats' medians or rates
    highest: float
    rate: float = 0.0


@dataclass(frozen=True)
class Ratio:
    """How much better ours is. None as floor: told, not judged. PAR as floor: as good is good enough."""

    name: str
    value: float
    floor: float | None = None

    @property
    def is_short(self) -> bool:
        return self.floor is not None and self.value < self.floor


@dataclass
class Case:
    """One table: the contenders on one input."""

    name: str
    unit: str
    rows: list[Row]
    ratios: list[Ratio] = field(default_factory=list)
    note: str = ""
    missing: list[str] = field(default_factory=list)  # what was to be measured and was not

    @property
    def noise(self) -> float:
        """How far the two runs of ours are apart; 0 where it ran once."""
        found = {row.name: row.rate or row.p50 for row in self.rows}
        return abs(found[AGAIN] / found[OURS] - 1) if AGAIN in found else 0.0

    @property
    def verdict(self) -> str:
        if self.missing or not self.rows:
            return f"not measured: {'; '.join(self.missing) or 'nobody ran'}"
        if self.noise > NOISE_MAX:
            return f"invalid: ours differs from itself by {self.noise:.0%}"
        short = [ratio.name for ratio in self.ratios if ratio.is_short]
        return f"short: {', '.join(short)}" if short else "ok"


@dataclass
class Report:
    """Everything one bench has to say."""

    part: str
    cases: list[Case]
    packages: Sequence[str]
    notes: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        if not self.cases:
            return "not measured"
        bad = [case.name for case in self.cases if case.verdict != "ok"]
        return f"fails: {', '.join(bad)}" if bad else "ok"

    @property
    def exit_code(self) -> int:
        """0 for what was measured and holds, 1 for everything else."""
        return 0 if self.verdict == "ok" else 1


def percentile(samples: Sequence[float], share: int) -> float:
    """The value that `share` percent of the samples do not exceed."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, len(ordered) * share // _PERCENT)]


@dataclass(frozen=True)
class Contender:
    """What is timed, and what comes before it untimed."""

    run: Callable[[int], object]
    prepare: Callable[[], None] = lambda: None


def race(contenders: Mapping[str, Contender], turns: int, repeats: int) -> list[Row]:
    """CPU microseconds per turn of each contender, one after the other in every turn."""
    samples: dict[str, list[list[float]]] = {name: [] for name in contenders}
    order = random.Random(len(contenders))
    for _ in range(repeats):
        for name in contenders:
            samples[name].append([])
        for turn in range(turns):
            # A new order each time: who comes after a large neighbour finds the caches cold.
            for name, contender in order.sample(list(contenders.items()), len(contenders)):
                contender.prepare()
                started = thread_time_ns()
                contender.run(turn)
                samples[name][-1].append((thread_time_ns() - started) / 1_000)
    return [_row(name, repeated) for name, repeated in samples.items()]


def _row(name: str, repeated: list[list[float]]) -> Row:
    medians = [statistics.median(samples) for samples in repeated]
    everything = [sample for samples in repeated for sample in samples]
    return Row(
        name,
        statistics.median(everything),
        percentile(everything, 99),
        min(medians),
        max(medians),
    )


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    memory = Path("/proc/meminfo").read_text().split()[1]
    release = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20),
        "system": release,
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def write_results(report: Report) -> Path:
    """Everything as JSON; the path it went to."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{report.part}.json"
    found = {
        "part": report.part,
        "machine": machine(),
        "versions": {name: version(name) for name in report.packages},
        "verdict": report.verdict,
        "notes": report.notes,
        "cases": [
            {**asdict(case), "noise": case.noise, "verdict": case.verdict} for case in report.cases
        ],
    }
    path.write_text(json.dumps(found, indent=2) + "\n")
    return path


def table(report: Report) -> str:
    """The same for people."""
    versions = ", ".join(f"{name} {version(name)}" for name in report.packages)
    lines = [f"{report.part}: {machine()['system']}, {os.cpu_count()} cores, {versions}"]
    lines += report.notes
    for case in report.cases:
        lines += ["", f"{case.name} ({case.unit})", *_table_of(case)]
        lines += [_ratio_line(ratio) for ratio in case.ratios]
        lines += [
            line for line in (f"  {case.note}" if case.note else "", f"  {case.verdict}") if line
        ]
    if not report.cases:
        lines.append(report.verdict)
    return "\n".join(lines)


def _table_of(case: Case) -> list[str]:
    has_rate = any(row.rate for row in case.rows)
    head = ["", "p50", "p99", "lowest", "highest", *(["per second"] if has_rate else [])]
    body = [
        [row.name, *(_figure(each) for each in (row.p50, row.p99, row.lowest, row.highest))]
        + ([_figure(row.rate)] if has_rate else [])
        for row in case.rows
    ]
    width = max((len(row[0]) for row in body), default=0)
    return [
        f"  {row[0]:<{width}}" + "".join(f"{cell:>12}" for cell in row[1:]) for row in (head, *body)
    ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= _PERCENT else f"{value:.2f}"


def _ratio_line(ratio: Ratio) -> str:
    par = "on a par, " if ratio.floor == PAR else ""
    goal = "" if ratio.floor is None else f" ({par}to reach: {ratio.floor:g})"
    return f"  {ratio.name}: {ratio.value:.2f}{goal}"
