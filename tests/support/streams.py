"""Payments that go on and on while something else happens to the platform."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from plmkit.paying import FileRun, Tally
from plmkit.payment_file import Line


async def pay_beside(work: Coroutine[Any, Any, None], run: FileRun, lines: Iterable[Line]) -> Tally:
    """Pay line after line until the work has ended, well or not; what is in flight then comes to its end."""
    working, paying = asyncio.create_task(work), asyncio.create_task(run.pay_all(lines))
    await asyncio.wait({working, paying}, return_when=asyncio.FIRST_COMPLETED)
    if paying.done() and paying.exception():
        working.cancel()
    else:
        await asyncio.wait({working})
        run.stop.set()
    await asyncio.wait({working, paying})
    tally = paying.result()
    working.result()
    return tally
