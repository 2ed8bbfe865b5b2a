"""`plm pay`: one payment, or a file of them."""

import asyncio
import os
import re
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from plmkit.console import ExitCode, KitError, Output, emit, emit_json, say

if TYPE_CHECKING:
    from plmkit.credentials import Credentials
    from plmkit.paying import Tally
    from plmkit.receipts import Payment
    from plmkit.result_file import Journal, Result

_EXAMPLES = """
Examples:

  plm pay A D 10000.00 USD

  plm pay A D 10000.00 USD --key invoice-4711   (again: still paid once)

  plm pay --file payments.csv                   (again: goes on)
"""

_NEGATIVE = re.compile(r"-[.,]?\d")


def register(app: typer.Typer) -> None:
    """Add `plm pay`."""
    # A negative amount looks like an option: what is none is told apart by `_refuse_unknown_options`.
    settings = {"ignore_unknown_options": True}
    app.command("pay", epilog=_EXAMPLES, context_settings=settings)(pay)


def pay(  # noqa: PLR0913 - one per argument and option of the command line
    from_node: Annotated[str | None, typer.Argument(metavar="FROM", help="Who pays.")] = None,
    to_node: Annotated[str | None, typer.Argument(metavar="TO", help="Who receives.")] = None,
    amount: Annotated[str | None, typer.Argument(help="A decimal number such as 10000.00.")] = None,
    currency: Annotated[str | None, typer.Argument(help="ISO code, such as USD.")] = None,
    *,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key; a new one when left out.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="CSV with the columns idempotency_key, from, to, amount, currency."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Result file; FILE.results.csv when left out.")
    ] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=256, help="Payments of a file in flight at once.")
    ] = 16,
    context: Annotated[
        str | None,
        typer.Option(help="A kubectl context; the embedded cluster when left out (PLM_CONTEXT)."),
    ] = None,
    output: Annotated[Output, typer.Option("-o", "--output", help="text or json.")] = Output.TEXT,
) -> None:
    """Pay from one node to another, over the best live route."""
    from plmkit.kubectl import cures_for

    _refuse_unknown_options(from_node, to_node, amount, currency)
    if file is not None:
        if from_node is not None or key is not None:
            raise KitError(
                "--file and a single payment exclude each other",
                "plm pay --file payments.csv",
                ExitCode.WRONG_USAGE,
            )
        with cures_for(context):
            _pay_file(file, results, concurrency, context, output)
        return
    if results is not None:
        raise KitError(
            "--results goes with --file",
            "plm pay --file payments.csv --results results.csv",
            ExitCode.WRONG_USAGE,
        )
    if from_node is None or to_node is None or amount is None or currency is None:
        raise KitError(
            "a payment needs FROM TO AMOUNT CURRENCY",
            "plm pay A D 10000.00 USD",
            ExitCode.WRONG_USAGE,
        )
    asked = (from_node.lower(), to_node.lower(), amount, currency.upper())
    with cures_for(context):
        _pay_one(asked, key, context, output)


def _refuse_unknown_options(*words: str | None) -> None:
    for word in words:
        if word and word.startswith("-") and not _NEGATIVE.match(word):
            raise KitError(f"there is no option {word}", "plm pay --help", ExitCode.WRONG_USAGE)


def _pay_one(
    asked: tuple[str, str, str, str], key: str | None, context: str | None, output: Output
) -> None:
    from plmkit.api import open_api
    from plmkit.credentials import chosen_credentials
    from plmkit.receipts import Order

    # None alone: an empty key is a script's unset variable, and a new one at each of its retries would pay twice.
    key = f"cli-{uuid.uuid4().hex}" if key is None else key
    _refuse_unreadable(*asked)
    _refuse_wrong_key(key)

    async def run() -> "Payment":
        async with open_api(chosen_credentials(context)) as api:
            return await api.pay(Order(*asked), key)

    try:
        payment = asyncio.run(run())
        if output is Output.JSON:
            emit_json({**payment.raw, "idempotencyKey": key})
        else:
            emit("\n".join(_lines_of(payment, key)))
    except BaseException:
        # Whoever repeats this payment needs its key, above all when nobody knows what became of it.
        say(f"key {key}")
        raise
    if payment.state != "settled":
        is_refused = payment.state == "refused"
        raise typer.Exit(ExitCode.CHECK_FAILED if is_refused else ExitCode.NO_ANSWER_YET)


def _refuse_unreadable(*words: str) -> None:
    for word in words:
        # What a terminal sent in another encoding: no JSON can carry it.
        if any("\ud800" <= character <= "\udfff" for character in word):
            raise KitError(
                f"{word!r} is no UTF-8",
                "type it again, with ASCII letters and digits",
                ExitCode.WRONG_USAGE,
            )


def _refuse_wrong_key(key: str) -> None:
    from plmkit.receipts import KEY_RULE, is_key

    if not is_key(key):
        raise KitError(
            f"the idempotency key {key!r} is not {KEY_RULE}",
            "--key invoice-4711, or no --key for a new one",
            ExitCode.WRONG_USAGE,
        )


def _lines_of(payment: "Payment", key: str) -> list[str]:
    from plmkit.receipts import arrow

    ends = f"{payment.amount} {payment.currency} {arrow([payment.from_node])} to {arrow([payment.to_node])}"
    if payment.state == "settled":
        head = f"settled  {ends} over {arrow(payment.route)}, fee {payment.fee}"
    else:
        head = f"{payment.state}  {ends}: {payment.refusal_detail} ({payment.refusal_code})"
    attempts = [
        f"  attempt {attempt.number}  {arrow(attempt.route)}  {attempt.state}"
        + (f": {attempt.reason}" if attempt.reason else "")
        for attempt in payment.attempts
    ]
    return [head, *attempts, f"  payment {payment.payment_id}", f"  key {key}"]


def _pay_file(
    source: Path, results: Path | None, concurrency: int, context: str | None, output: Output
) -> None:
    from plmkit.credentials import chosen_credentials
    from plmkit.payment_file import read_lines
    from plmkit.result_file import Journal

    with _opened(source) as file:
        # Before anything is made: a wrong header, or another file's results, leave all as it was.
        lines = read_lines(file)
        credentials = chosen_credentials(context)
        target = results or _beside(source)
        with Journal(target) as journal:
            journal.refuse_strangers(lines)
            file.seek(0)
            tally = asyncio.run(_run_file(file, journal, credentials, concurrency))
    summary = _summary(tally, target)
    if output is Output.JSON:
        emit_json(summary)
    else:
        emit("\n".join(f"{name:<12} {value}" for name, value in summary.items()))
    if tally.stopped:
        say("plm: stopped; run the same command again to go on")
        raise typer.Exit(130)
    if not tally.is_clean:
        raise typer.Exit(ExitCode.CHECK_FAILED if tally.has_refusals else ExitCode.NO_ANSWER_YET)


def _beside(source: Path) -> Path:
    # What a shell handed over as /dev/stdin has a folder of its own.
    is_handed_over = source.is_relative_to("/dev") or source.is_relative_to("/proc")
    return (source.resolve() if is_handed_over else source).with_suffix(".results.csv")


def _opened(source: Path) -> BinaryIO:
    cure = "name a CSV file; what comes from a pipe belongs into one first, as the next run reads it again"
    try:
        if source.is_file():
            return source.open("rb")
    except OSError as error:
        what = f"{source} cannot be read: {error.strerror}"
        raise KitError(what, cure, ExitCode.WRONG_USAGE) from error
    what = "is no file" if source.exists() else "does not exist"
    raise KitError(f"{source} {what}", cure, ExitCode.WRONG_USAGE)


async def _run_file(
    source: BinaryIO, journal: "Journal", credentials: "Credentials", concurrency: int
) -> "Tally":
    from plmkit.api import open_api
    from plmkit.file_progress import FileProgress
    from plmkit.paying import FileRun
    from plmkit.payment_file import read_lines

    stop = asyncio.Event()
    size = os.fstat(source.fileno()).st_size
    with _stopped_by_signals(stop), FileProgress(size) as progress:

        def watch(result: "Result", tally: "Tally") -> None:
            progress.bytes_read = source.tell()
            progress(result, tally)

        async with open_api(credentials, connections_max=concurrency) as api:
            run = FileRun(api, journal, stop, watch, concurrency)
            return await run.pay_all(read_lines(source))


@contextmanager
def _stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """The first signal sets `stop`; a second one of either kind interrupts, as it does everywhere else in plm."""
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt_from_now_on() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            # The loop leaves SIGTERM with the system's own way, which would leave the terminal without a cursor.
            signal.signal(number, signal.default_int_handler)

    def stop_gently() -> None:
        stop.set()
        # Said last: whoever reads it and sends the second one at once is heard.
        interrupt_from_now_on()
        say("plm: stopping; payments in flight may finish (again to stop at once)")

    for number in numbers:
        loop.add_signal_handler(number, stop_gently)
    try:
        yield
    finally:
        interrupt_from_now_on()


def _summary(tally: "Tally", target: Path) -> dict[str, str | int | float]:
    counts = tally.now + tally.before
    return {
        "settled": counts["settled"],
        "refused": counts["refused"],
        "bad_lines": counts["bad_line"],
        "unfinished": counts["unfinished"] + counts["unknown"],
        "done_before": sum(tally.before.values()),
        "seconds": round(tally.elapsed_s, 3),
        "per_second": round(tally.per_second, 1),
        "p50_ms": round(tally.percentile_ms(50), 1),
        "p99_ms": round(tally.percentile_ms(99), 1),
        "results": str(target),
    }
