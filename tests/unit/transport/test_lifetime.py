"""How a process ends: a signal says so, however often, and kills nothing."""

import asyncio
import os
import signal

import pytest
from plm.transport.lifetime import stop_event


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_for_an_end_and_forces_none(number: signal.Signals) -> None:
    event = stop_event()
    assert not event.is_set()
    for _ in range(2):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(event.wait(), 5)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        assert loop.remove_signal_handler(each)
