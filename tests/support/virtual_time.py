"""An event loop whose clock jumps: fifteen seconds of waiting take none, and the same test takes the same turns."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

import pytest

_Result = TypeVar("_Result")
_Given = ParamSpec("_Given")


class _Jumping(selectors.SelectSelector):
    """Never waits: when nothing is ready, the time until the next timer passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "the test waits for something that nobody will do"
            self.now_s += max(timeout, 0.0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in virtual time. No threads, no sockets: nothing outside would notice that time has passed."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jumping.now_s


class LoopClock:
    """Stands where a module has `time`."""

    def monotonic(self) -> float:
        """The running loop's time."""
        return asyncio.get_running_loop().time()

    perf_counter = monotonic


def now_ms() -> int:
    """Milliseconds on the running loop's clock."""
    return round(1000 * asyncio.get_running_loop().time())


def run(main: Coroutine[Any, Any, _Result], *modules: ModuleType) -> _Result:
    """Run in virtual time; these modules read the loop's clock instead of the machine's."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "time", LoopClock())
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(main)


def in_virtual_time(
    story: Callable[_Given, Coroutine[Any, Any, None]],
) -> Callable[_Given, None]:
    """A test whose whole story runs in virtual time."""

    @functools.wraps(story)
    def test(*args: _Given.args, **kwargs: _Given.kwargs) -> None:
        run(story(*args, **kwargs))

    return test
