"""The running platform as the cluster tests see it: the command, kubectl, the gateway, the rows in Postgres."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plmkit.api import Api, Patience, open_api
from plmkit.credentials import load_credentials
from plmkit.health import read_health
from plmkit.kubectl import Kubectl, find_kubectl
from plmkit.localcluster import LocalCluster, ownership
from plmkit.state import Places
from support.books import final_read
from support.verdicts import FinalRead

_PSQL = ("exec", "pg-0", "--", "psql", "-h", "/tmp", "-U", "postgres", "-d", "plm")  # noqa: S108 - Postgres' socket folder in its own pod

_STUCK = """
SELECT payment_id || '/' || number || '/' || hop FROM holds WHERE state = 'pending'
UNION ALL SELECT payment_id || '/' || number FROM attempts WHERE state = 'open'
UNION ALL SELECT account_id FROM accounts WHERE held <> 0
"""


@dataclass(frozen=True)
class Platform:
    """One installation, with its state in a folder of its own."""

    places: Places
    variables: Mapping[str, str] = field(default_factory=dict)  # of whoever types the commands

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            **os.environ,
            **self.variables,
            "PLM_STATE_DIR": str(self.places.state),
            "PLM_CACHE_DIR": str(self.places.cache),
            "NO_COLOR": "1",
        }

    @property
    def kubectl(self) -> Kubectl:
        return find_kubectl(self.places, None)

    @property
    def cluster(self) -> LocalCluster:
        return LocalCluster(self.places, self.places.cache / "tools" / "bin")

    def plm(self, *arguments: str, timeout_s: float = 900) -> subprocess.CompletedProcess[str]:
        """Run `plm`; its outcome is the caller's to judge."""
        return subprocess.run(
            [sys.executable, "-m", "plmkit", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def plm_json(self, *arguments: str, exit_code: int = 0) -> Any:
        """What `plm … -o json` says. Fails the test when it ends with another exit code."""
        done = self.plm(*arguments, "-o", "json")
        assert done.returncode == exit_code, f"plm {' '.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout)

    def api(
        self, *, connections_max: int = 16, patience: Patience | None = None
    ) -> AbstractAsyncContextManager[Api]:
        credentials = load_credentials(self.places.credentials)
        return open_api(credentials, connections_max=connections_max, patience=patience)

    def psql(self, statement: str) -> str:
        """Run SQL as the superuser inside Postgres' pod: no service of plm has a hand in it."""
        done = self._psql(statement)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def psql_refusal(self, statement: str) -> str:
        """What Postgres says to SQL that it is to refuse."""
        done = self._psql(statement)
        assert done.returncode != 0, f"Postgres carried out {statement!r}"
        return done.stderr

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        command = self.kubectl.command(*_PSQL, "-v", "ON_ERROR_STOP=1", "-qAt", "-c", statement)
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def rows(self, select: str) -> list[dict[str, Any]]:
        """The rows of a SELECT."""
        wrapped = f"SELECT row_to_json(found) FROM ({select}) AS found"  # noqa: S608 - the test's own text
        lines = self.psql(wrapped).splitlines()
        return [json.loads(line) for line in lines]

    def all_nodes_ready(self) -> bool:
        """Whether every MeshNode says so of itself."""
        nodes = read_health([], [], self.kubectl.get("meshnodes.plm.dev")).nodes
        return bool(nodes) and all(node.is_ready for node in nodes)

    def stop_any_other(self) -> None:
        """Stop another installation's cluster: a machine runs one at most. Its data stays."""
        owner = ownership.read()
        if owner is not None and owner.state != str(self.places.state):
            elsewhere = {**self.environment, "PLM_STATE_DIR": owner.state}
            command = [sys.executable, "-m", "plmkit", "down"]
            subprocess.run(command, env=elsewhere, capture_output=True, timeout=120, check=True)

    def install_mesh50(self) -> None:
        """The release as docs/operating.md has it."""
        image = json.loads((self.places.cache / "images" / "references.json").read_text())[
            "services"
        ]
        chart = self.places.checkout / "charts" / "plm-services"
        command = [
            str(self.places.cache / "tools" / "bin" / "helm"), "upgrade", "--install", "mesh50",
            str(chart), "--namespace", "plm", "--values", str(chart / "values-mesh50.yaml"),
            "--set", f"image={image}", "--kubeconfig", str(self.places.kubeconfig),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def is_quiet(self) -> bool:
        """Whether no hold, no attempt and no held money is left."""
        return not self.psql(_STUCK).split()

    def read_ledger(self, *, before: FinalRead | None = None) -> FinalRead:
        """Everything the checker needs, from the rows; call it when nothing is in flight."""
        verified = self.plm("verify", "ledger")
        return final_read(
            self.rows("SELECT * FROM entries ORDER BY seq"),
            self.rows("SELECT * FROM accounts"),
            chain_ok=verified.returncode == 0,
            stuck=self.psql(_STUCK).split(),
            before=before,
        )


def places_for_tests() -> Places:
    """State of its own, tools and images from the usual cache."""
    checkout = Path(__file__).resolve().parents[2]
    home = Path.home()
    state_home = Path(os.environ.get("XDG_STATE_HOME") or home / ".local" / "state")
    cache_home = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return Places(
        checkout=checkout,
        cache=Path(os.environ.get("PLM_CACHE_DIR") or cache_home / "plm"),
        state=state_home / "plm-test",
    )
