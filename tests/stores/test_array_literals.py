"""Whatever a column holds, Postgres reads out of our text what went in."""

import asyncio
from collections.abc import Sequence

import asyncpg
from hypothesis import given, settings
from hypothesis import strategies as st
from plm.ledger.array_literals import array_literal
from support.ledgers import Database

ODD = st.sampled_from(["NULL", "null", "", '"', "\\", '\\"', "{}", "a,b", " a ", "'", "\n", "ż"])
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
VALUES = {
    "text": st.one_of(ODD, TEXTS),
    "bytea": st.binary(),
    "boolean": st.booleans(),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "numeric": st.integers(-(10**38) + 1, 10**38 - 1),
}
COLUMNS = st.sampled_from(sorted(VALUES)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.lists(VALUES[kind], min_size=1))
)


def test_what_is_written_is_what_is_read(database: Database) -> None:
    superuser = database.superuser
    with asyncio.Runner() as runner:
        connection = runner.run(
            asyncpg.connect(
                host=superuser.host,
                port=superuser.port,
                database=superuser.database,
                user=superuser.user,
            )
        )

        @settings(max_examples=300)
        @given(COLUMNS)
        def survives(column: tuple[str, Sequence[object]]) -> None:
            kind, values = column
            question = connection.fetchval(
                f"SELECT $1::text::{kind}[]", array_literal(kind, values)
            )
            assert runner.run(question) == values

        survives()
        runner.run(connection.close())
