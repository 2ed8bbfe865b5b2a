"""A throwaway Postgres on this host: real files, fsync on, its own folder and port. Postgres refuses to run as root."""

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plm.migrate.runner import migrate
from plm.migrate.settings import MigrateSettings
from plm.stores.postgres import PostgresSettings
from support.living import lives
from support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
_BINARIES = Path("/usr/lib/postgresql/15/bin")
_START_S = 60.0


@dataclass
class PostgresServer:
    """One server process and its folder."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def superuser(self) -> PostgresSettings:
        return PostgresSettings(host="127.0.0.1", port=self.port, user="postgres")

    @property
    def ledger(self) -> PostgresSettings:
        return PostgresSettings(
            host="127.0.0.1", port=self.port, password_file=self.folder / "ledger-password"
        )

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [
            str(_BINARIES / "postgres"), "-D", str(self.data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
            "-c", "jit=off", "-c", "wal_level=replica", "-c", "max_connections=120",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, user=_unprivileged(), group=_group(), cwd="/"
            )
        give_up_at = time.monotonic() + _START_S
        while not self._is_ready():
            if time.monotonic() > give_up_at or self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text()[-2000:])

    def _is_ready(self) -> bool:
        command = [str(_BINARIES / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        """Fast shutdown."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=30)
            self.process = None

    def abandon(self) -> None:
        """Immediate shutdown: nothing of it is needed any more."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=30)
            self.process = None

    def kill(self) -> None:
        """SIGKILL every process of it: what a killed container sees."""
        assert self.process is not None
        children = _children(self.process.pid)
        for pid in (self.process.pid, *children):
            kill_if_alive(pid)
        self.process.wait(timeout=30)
        for pid in children:
            _wait_gone(pid)
        self.process = None

    def migrate(self) -> int:
        """Run the project's migrations."""
        settings = MigrateSettings(
            postgres=self.superuser,
            ledger_password_file=self.folder / "ledger-password",
            migrations_directory=ROOT / "migrations" / "postgres",
        )
        return asyncio.run(migrate(settings))


def kill_if_alive(pid: int) -> None:
    """SIGKILL a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def _wait_gone(pid: int) -> None:
    give_up_at = time.monotonic() + _START_S
    while lives(pid):
        assert time.monotonic() < give_up_at, f"{pid} does not die"


def _unprivileged() -> int | None:
    return pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None


def _group() -> int | None:
    return pwd.getpwnam("postgres").pw_gid if os.getuid() == 0 else None


@contextmanager
def throwaway_postgres(*, migrated: bool = True) -> Iterator[PostgresServer]:
    """A server that is gone, folder and all, when the block ends."""
    if not _BINARIES.exists():
        raise AssertionError("Postgres 15 is missing: plm tools --with-test-servers")
    folder = Path(tempfile.mkdtemp(prefix="plm-pg-"))
    folder.chmod(0o755)
    (folder / "ledger-password").write_text("throwaway")
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = PostgresServer(folder, free_port())
    try:
        subprocess.run(
            [_BINARIES / "initdb", "-D", server.data, "-U", "postgres", "--auth=trust", "-N", "-E", "UTF8"],
            check=True, capture_output=True, user=_unprivileged(), group=_group(), cwd="/",
        )  # fmt: skip
        server.start()
        if migrated:
            server.migrate()
        yield server
    finally:
        server.abandon()
        shutil.rmtree(folder)
