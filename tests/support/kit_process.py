"""`plm` with state, cache, home and programs in folders of the test: as a process, or faster, in this one."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plmkit import __main__ as program

PLM = (sys.executable, "-m", "plmkit")


@dataclass(frozen=True)
class Kit:
    """One installation. Nothing is on PATH but what the test puts there, and the shell's own programs if it asks."""

    folder: Path
    system_programs: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def programs(self) -> Path:
        return self.folder / "programs"

    @property
    def environment(self) -> Mapping[str, str]:
        system = ":/usr/bin:/bin" if self.system_programs else ""
        return {
            "HOME": str(self.folder),
            "PATH": f"{self.programs}{system}",
            "PLM_STATE_DIR": str(self.state),
            "PLM_CACHE_DIR": str(self.cache),
            **self.variables,
        }

    def with_variables(self, **more: str) -> "Kit":
        """The same with more in its environment."""
        return replace(self, variables={**self.variables, **more})

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it; its outcome is the caller's to judge."""
        return subprocess.run(
            [*PLM, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same in this process: a quarter of the time. What other programs print themselves is not caught."""
        out, talk, code = io.StringIO(), io.StringIO(), 0
        with _as_called(arguments, self.environment), redirect_stdout(out), redirect_stderr(talk):
            try:
                program.main()
            except SystemExit as end:
                code = int(end.code or 0)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), talk.getvalue())

    def json(self, *arguments: str, exit_code: int = 0) -> Any:
        """What it says with -o json. Fails the test when it ends with another exit code."""
        done = self.call(*arguments, "-o", "json")
        assert done.returncode == exit_code, done.stderr
        return json.loads(done.stdout)


@contextmanager
def _as_called(arguments: tuple[str, ...], environment: Mapping[str, str]) -> Iterator[None]:
    """What a process of its own would have of its own."""
    kept = dict(os.environ), sys.argv, signal.getsignal(signal.SIGTERM)
    app = program.APP
    registered = list(app.registered_commands), list(app.registered_groups)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["plm", *arguments]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept[0])
        sys.argv = kept[1]
        signal.signal(signal.SIGTERM, kept[2])
        app.registered_commands, app.registered_groups = registered
