"""The result file of a payment file, also the journal of its runs: what stands in it is not asked for again."""

import csv
import fcntl
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Self

from plmkit.console import ExitCode, KitError
from plmkit.payment_file import BadLine, Line
from plmkit.receipts import Order

# States of a result that stand; every other one is tried again by the next run.
FINAL_STATES = frozenset({"settled", "refused", "bad_line"})


@dataclass(frozen=True)
class Result:
    """One line of the result file. Field names are its header."""

    line: int
    idempotency_key: str
    from_node: str
    to_node: str
    amount: str
    currency: str
    state: str
    code: str = ""
    detail: str = ""
    payment_id: str = ""
    route: str = ""
    fee: str = ""
    attempts: int = 0
    milliseconds: float = 0.0


RESULT_COLUMNS = tuple(column.name for column in fields(Result))
_HEADER = (",".join(RESULT_COLUMNS) + "\n").encode()


class Journal:
    """The result file: one line per finished payment, appended and synced in batches. The last row of a line counts.

    A last line that a crash has torn is dropped; so a run that was killed goes on where it stood.
    One run at a time writes it: two would ask for the same payments, and one's rows would tear the other's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: io.FileIO | None = None
        self._size = 0  # of all whole lines
        self._done: dict[int, Result] = {}

    def __enter__(self) -> Self:
        self._file = _opened(self._path)
        try:
            self._read(self._file)
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def done(self, line: Line | BadLine) -> Result | None:
        """The final result that an earlier run wrote for this very line; None when the line is new or was edited."""
        found = self._done.get(line.number)
        return found if found is not None and _same_request(found, line) else None

    def refuse_strangers(self, lines: Iterable[Line | BadLine]) -> None:
        """Raise KitError when payments are settled here and none of them is among these lines: another file's results.

        Reads no further than to the first that is.
        """
        settled = {each.idempotency_key for each in self._done.values() if each.state == "settled"}
        if settled and not any(isinstance(line, Line) and line.key in settled for line in lines):
            raise KitError(
                f"{self._path} has other payments' results: none of the {len(settled)} settled there is in the file",
                f"name another result file with --results, or take {self._path} away first",
                ExitCode.WRONG_USAGE,
            )

    def append(self, results: Sequence[Result]) -> None:
        """Write results and sync them to disk. What this returned from is not asked for again by a later run."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(astuple(result) for result in results)
        self._write(text.getvalue().encode(errors="replace"))

    def _read(self, file: io.FileIO) -> None:
        file.seek(0)
        whole = file.readall()
        if not (whole.startswith(_HEADER) or _HEADER.startswith(whole)):
            raise KitError(
                f"{self._path} is no result file of plm",
                "name another one with --results",
                ExitCode.WRONG_USAGE,
            )
        self._size = whole.rfind(b"\n") + 1
        self._done = _done_in(whole[: self._size].decode("utf-8", errors="replace"))
        if not self._size:
            self._write(_HEADER)

    def _write(self, more: bytes) -> None:
        if self._file is None:
            raise RuntimeError("the journal is not open")
        try:
            # Behind the last whole line lies what a crash or a full disk has torn.
            self._file.truncate(self._size)
            left = memoryview(more)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError as error:
            raise KitError(
                f"the result file {self._path} cannot be written: {error.strerror}",
                "mend that, then the same command again: what has no line there is asked for again, and paid once",
                ExitCode.UNFIT_ENVIRONMENT,
            ) from error
        self._size += len(more)


def _opened(path: Path) -> io.FileIO:
    try:
        if path.exists() and not path.is_file():
            raise KitError(
                f"the result file {path} is no file",
                "name another one with --results",
                ExitCode.WRONG_USAGE,
            )
        # Without a buffer: after a write that failed nothing waits to be written after all.
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise KitError(
            f"the result file {path} cannot be opened: {error.strerror}",
            "name one with --results, in a folder that is there and may be written",
            ExitCode.WRONG_USAGE,
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise KitError(
            f"another plm pay is writing {path}",
            "wait until it has ended, then the same command again",
            ExitCode.NO_ANSWER_YET,
        ) from error
    return file


def _done_in(text: str) -> dict[int, Result]:
    results = [_result(row) for row in text.split("\n")[1:-1]]
    return {
        result.line: result
        for result in results
        if result is not None and result.state in FINAL_STATES
    }


def _same_request(result: Result, line: Line | BadLine) -> bool:
    if isinstance(line, BadLine):
        return result.state == "bad_line" and result.detail == line.problem
    asked = (line.key, *line.order.body().values())
    return asked == (
        result.idempotency_key,
        result.from_node,
        result.to_node,
        result.amount,
        result.currency,
    )


def _result(text: str) -> Result | None:
    """A row of the journal; None when nobody can read it: its payment is asked for again."""
    try:
        cells = dict(zip(RESULT_COLUMNS, next(csv.reader([text], strict=True)), strict=True))
        number = int(cells["line"])
    except (csv.Error, ValueError, StopIteration):
        return None
    order = Order(cells["from_node"], cells["to_node"], cells["amount"], cells["currency"])
    line = Line(number, cells["idempotency_key"], order)
    return result_of(line, cells["state"], code=cells["code"], detail=cells["detail"])


def result_of(line: Line, state: str, *, code: str = "", detail: str = "") -> Result:
    """A result of a line; whoever has the receipt adds what it says."""
    order = line.order
    return Result(
        line=line.number,
        idempotency_key=line.key,
        from_node=order.from_node,
        to_node=order.to_node,
        amount=order.amount,
        currency=order.currency,
        state=state,
        code=code,
        # One result is one line, whatever the gateway said.
        detail=" ".join(detail.split()),
    )


def bad_line_result(line: BadLine) -> Result:
    """How a bad line stands in the result file."""
    return Result(line.number, "", "", "", "", "", "bad_line", "bad_line", line.problem)
