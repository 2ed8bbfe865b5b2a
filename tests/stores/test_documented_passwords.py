"""The command of docs/operating.md that gives Postgres' roles their passwords, on a real server in place of the pod."""

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from support.documentation import Command
from support.documented_commands import documented
from support.postgres import PostgresServer, throwaway_postgres
from support.programs import put

ROLES = {
    "postgres": "postgresSuperuser",
    "repl": "postgresReplication",
    "rewind": "postgresRewind",
    "ledger": "ledger",
}
# As a person may choose them.
CHOSEN = {name: f"""{name}'s "$1" \\n""" for name in ROLES.values()}
_RULES = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module")
def guarded() -> Iterator[PostgresServer]:
    """A server with Patroni's roles, which asks for passwords as ours does: within the pod for none."""
    with throwaway_postgres() as server:
        for role in ("repl", "rewind"):
            psql(server, f"CREATE ROLE {role} LOGIN")
        (server.data / "pg_hba.conf").write_text(_RULES)
        psql(server, "SELECT pg_reload_conf()")
        yield server


def psql(server: PostgresServer, statement: str) -> str:
    command = ["psql", "-h", str(server.folder), "-p", str(server.port), "-U", "postgres", "-Atc"]
    return subprocess.run(
        [*command, statement], check=True, capture_output=True, text=True
    ).stdout.strip()


def type_in(command: Command, programs: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", "\n".join(["set -eu -o pipefail", *command.setup, command.text])],
        env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )


async def is_let_in(server: PostgresServer, role: str, password: str) -> bool:
    try:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=server.port, user=role, password=password, database="postgres"
        )
    except asyncpg.InvalidPasswordError:
        return False
    await connection.close()
    return True


async def test_roles_get_the_passwords_that_the_stack_has(
    guarded: PostgresServer, tmp_path: Path
) -> None:
    """Whatever they were before, and also a second time."""
    [command] = [each for each in documented() if "ALTER ROLE" in each.text]
    (tmp_path / "secrets").write_text(json.dumps({**CHOSEN, "caKey": "not a role's"}))
    put(tmp_path, "plm", "echo true")
    put(tmp_path, "pulumi", f'[ "$*" = "config get plm:secrets" ] && cat {tmp_path}/secrets')
    in_the_pod = f'shift 9; PGPORT={guarded.port} exec psql -h {guarded.folder} "$@"'
    expected = '"exec -i pg-0 -n plm -- psql -h /tmp "'
    put(tmp_path, "kubectl", f'case "$*" in {expected}*) {in_the_pod} ;; *) exit 9 ;; esac')
    for _ in range(2):
        done = await asyncio.to_thread(type_in, command, tmp_path)
        assert done.returncode == 0, done.stderr
        for role, name in ROLES.items():
            assert await is_let_in(guarded, role, CHOSEN[name]), role
            assert not await is_let_in(guarded, role, "another"), role
