"""What a person sees while a file is paid: progress on a terminal, and each line that was not settled."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from plmkit.console import drawing_console, is_interactive, say
from plmkit.paying import Tally
from plmkit.result_file import Result

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Beyond this many, the result file is the better place to read them.
TOLD_MAX = 20


class FileProgress:
    """Tells about results as they reach the disk; call it with each one."""

    def __init__(self, bytes_total: int) -> None:
        self._bytes_total = bytes_total
        self._told = 0
        self._drawn: Progress | None = None
        self._task: TaskID | None = None
        self.bytes_read = 0

    def __enter__(self) -> Self:
        if is_interactive():
            self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._drawn is not None:
            self._drawn.stop()
        if self._told > TOLD_MAX:
            say(f"… and {self._told - TOLD_MAX} more, in the result file")

    def __call__(self, result: Result, tally: Tally) -> None:
        """Show one result."""
        if result.state != "settled":
            self._told += 1
            if self._told <= TOLD_MAX:
                self._tell(f"line {result.line}: {result.state}: {result.detail} ({result.code})")
        if self._drawn is not None and self._task is not None:
            counts = ", ".join(f"{count} {state}" for state, count in sorted(tally.now.items()))
            self._drawn.update(self._task, completed=self.bytes_read, description=counts)

    def _draw(self) -> None:
        from rich.progress import (  # noqa: PLC0415 - nobody waits for it where nothing is drawn
            BarColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        self._drawn = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} % of the file"),
            TimeElapsedColumn(),
            console=drawing_console(),
            transient=True,
        )
        self._task = self._drawn.add_task("", total=self._bytes_total)
        self._drawn.start()

    def _tell(self, text: str) -> None:
        if self._drawn is not None:
            self._drawn.console.print(text, markup=False, highlight=False)
        else:
            say(text)
