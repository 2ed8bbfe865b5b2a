"""Certificates renewed under payments: every server shows its new one, no process starts anew, no payment notices."""

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from plmkit.credentials import load_credentials
from plmkit.paying import FileRun, Tally
from plmkit.payment_file import Line
from plmkit.receipts import Order
from plmkit.result_file import Journal, Result
from support import renewals
from support.checker import check
from support.echo_node import served_serial
from support.history import History, RecordedPayer, read_history
from support.platform import Platform
from support.streams import pay_beside
from support.verdicts import Bite, Outcome
from support.waiting import until, wait_until
from support.wiretap import certificate_folder, forwarded

pytestmark = pytest.mark.cluster

CONCURRENCY = 4
# Payments before anything is renewed, and again once all that was renewed is shown.
STEADY = 100
STEADY_WITHIN_S = 120
ISSUED_WITHIN_S = 30
# kubelet carries a changed Secret into a pod when it next looks at that pod; then edge and gateway look at the files.
SHOWN_WITHIN_S = 300
LOOK_EVERY_S = 0.5
LOOK_S_MAX = 5


@dataclass(frozen=True)
class Door:
    """A server that shows a certificate, and what is spoken there."""

    service: str
    port: int
    protocol: str

    @property
    def secret(self) -> str:
        return f"{self.service}-tls"


# B stands on the cheapest route: were it to refuse anybody, payments would take another.
DOORS = (
    Door("node-b", 7443, "h2"),
    Door("ledger", 7443, "h2"),
    Door("gateway", 8443, "http/1.1"),
    Door("edge", 8443, "http/1.1"),
)
Serials = Mapping[Door, int]


@dataclass(frozen=True)
class Doors:
    """All doors, as a client sees them that none of them turns away."""

    platform: Platform
    addresses: Mapping[Door, str]
    client: Path

    def issued(self) -> Serials:
        """What is in the Secrets, by serial number."""
        kubectl = self.platform.kubectl
        return {door: renewals.serial_in(kubectl, door.secret) for door in DOORS}

    async def until_shown(self, serials: Serials) -> dict[Door, float]:
        """Seconds until each showed the certificate of its serial number."""
        began = time.monotonic()
        took: dict[Door, float] = {}
        while missing := [door for door in DOORS if door not in took]:
            names = [door.service for door in missing]
            assert time.monotonic() - began < SHOWN_WITHIN_S, f"issued, and not shown: {names}"
            for door in missing:
                if await self._shown(door) == serials[door]:
                    took[door] = time.monotonic() - began
            await asyncio.sleep(LOOK_EVERY_S)
        return took

    async def _shown(self, door: Door) -> int:
        """Of a new connection; 0 when none is to be had just now."""
        host, port = self.addresses[door].split(":")
        try:
            async with asyncio.timeout(LOOK_S_MAX):
                return await served_serial(int(port), self.client, door.protocol, host)
        except OSError:
            return 0

    def renew(self) -> Serials:
        """Have the operator find all of them due at once, and wait until it has issued others."""
        kubectl = self.platform.kubectl
        before = self.issued()
        aged = {door: renewals.age(kubectl, door.secret) for door in DOORS}

        def are_new() -> bool:
            now = self.issued()
            return all(now[door] not in {before[door], aged[door]} for door in DOORS)

        wait_until(are_new, ISSUED_WITHIN_S, "the operator has issued new certificates")
        return self.issued()


@pytest.fixture
def doors(platform: Platform, tmp_path: Path) -> Iterator[Doors]:
    """The edge where people come, the others through forwards."""
    client = certificate_folder(platform.kubectl, "edge-tls", tmp_path)
    api = urlsplit(load_credentials(platform.places.credentials).api_url)
    with ExitStack() as stack:

        def address(door: Door) -> str:
            if door.service == "edge":
                return api.netloc
            forward = forwarded(platform.kubectl, f"service/{door.service}", door.port)
            return stack.enter_context(forward)

        yield Doors(platform, {door: address(door) for door in DOORS}, client)


def payments() -> Iterator[Line]:
    """Small ones from A to D, without end."""
    run = uuid.uuid4().hex
    for number in itertools.count(1):
        yield Line(number, f"rotation-{run}-{number}", Order("a", "d", "0.01", "USD"))


def containers(platform: Platform) -> set[str]:
    """All that run: a process that started anew would show its new certificate too."""
    pods = platform.kubectl.get("pods", "--field-selector", "status.phase=Running")
    return {each["containerID"] for pod in pods for each in pod["status"]["containerStatuses"]}


@dataclass
class Seen:
    """How many payments have their result."""

    count: int = 0

    def watch(self, _result: Result, tally: Tally) -> None:
        self.count = tally.now.total()

    async def more(self, count: int) -> None:
        """Wait for so many from now on."""
        goal = self.count + count
        await until(lambda: self.count >= goal, STEADY_WITHIN_S, f"{count} more payments")


async def renew_all(doors: Doors, seen: Seen, tell: Callable[[str], None]) -> None:
    """With a steady stream before, between and after."""
    old = doors.issued()
    await doors.until_shown(old)
    await seen.more(STEADY)
    new = await asyncio.to_thread(doors.renew)
    before = seen.count
    took = await doors.until_shown(new)
    for door, seconds in took.items():
        serials = f"{old[door]:040x} to {new[door]:040x}"
        tell(
            f"rotation: {door.service} from {serials}, shown {seconds:.1f} s after the last was issued"
        )
    tell(f"rotation: {seen.count - before} payments meanwhile")
    await seen.more(STEADY)


async def test_no_payment_notices_that_certificates_are_renewed(
    platform: Platform,
    doors: Doors,
    tmp_path: Path,
    history_path: Path,
    tell: Callable[[str], None],
) -> None:
    before, running = platform.read_ledger(), containers(platform)
    seen = Seen()
    with History(history_path) as history, Journal(tmp_path / "results.csv") as journal:
        async with platform.api(connections_max=CONCURRENCY) as api:
            payer = RecordedPayer(api, history)
            run = FileRun(payer, journal, asyncio.Event(), seen.watch, CONCURRENCY)
            tally = await pay_beside(renew_all(doors, seen, tell), run, payments())
    verdict = check(
        read_history(history_path),
        platform.read_ledger(before=before),
        Bite(ok_min=2 * STEADY),
        client_id="operator",
    )
    tell(
        f"rotation: {verdict}; {tally.per_second:.1f} payments/s, "
        f"p50 {tally.percentile_ms(50):.0f} ms, longest {tally.percentile_ms(100):.0f} ms"
    )
    assert verdict.outcome is Outcome.VALID, str(verdict)
    assert verdict.counts["ok"] == verdict.counts["asked"], "every payment settled"
    assert verdict.counts["rerouted"] == 0, "at its first attempt"
    assert containers(platform) == running
