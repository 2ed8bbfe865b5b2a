"""pulumi on paper: stacks in a backend folder, configuration files with sealed secrets, and every call written down."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from plmkit.stack import Workspace
from support.programs import put

# Secrets are sealed by the passphrase in a way that this program can undo and nobody reads by accident.
_PROGRAM = """
import base64, hashlib, itertools, json, os, sys, time
from pathlib import Path

folder = Path(os.environ["PAPER_PULUMI"])
words = [word for word in sys.argv[1:] if word != "--non-interactive"]
# A display of its own may be a person's: there is nothing to read then.
text = "" if words[0] == "up" else sys.stdin.read()
call = {"words": words, "stdin": text, "environment": dict(os.environ), "cwd": os.getcwd()}
with (folder / "asked").open("a") as asked:
    asked.write(json.dumps(call) + "\\n")
said = " ".join(words)
for name in ("refused", "halted"):
    path = folder / name
    wanted = path.read_text() if path.exists() else ""
    if wanted and wanted in said:
        if name == "refused":
            sys.exit("error: could not do it")
        path.write_text("")
        (folder / "halting").write_text(str(os.getpid()))
        time.sleep(60)

backend = Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://"))
stacks_file = backend / "stacks.json"
stacks = json.loads(stacks_file.read_text()) if stacks_file.exists() else {}
passphrase = Path(os.environ["PULUMI_CONFIG_PASSPHRASE_FILE"]).read_text()
key = hashlib.sha256(passphrase.encode()).digest()

def mix(content):
    return bytes(a ^ b for a, b in zip(content, itertools.cycle(key)))

def lines(path):
    # One `name: value` per line: as much of YAML as is needed here.
    return path.read_text().splitlines() if path.exists() else []

def config_file():
    return Path(words[words.index("--config-file") + 1])

if words[:2] == ["stack", "ls"]:
    print(json.dumps([{"name": name} for name in stacks]))
elif words[:2] == ["stack", "rm"]:
    if stacks[words[2]] == "deployed":
        sys.exit(f"error: '{words[2]}' still has resources; removal rejected")
    del stacks[words[2]]
elif words[:2] == ["stack", "init"]:
    if words[2] in stacks:
        sys.exit(f"error: stack '{words[2]}' already exists")
    stacks[words[2]] = "empty"
    Path(f"Pulumi.{words[2]}.yaml").write_text("encryptionsalt: v1:salt\\n")
elif words[:2] == ["stack", "output"]:
    print(json.dumps({"apiUrl": "https://edge"}))
elif words[:2] == ["config", "set"]:
    sealed = base64.b64encode(mix(text.encode())).decode()
    kept = [line for line in lines(config_file()) if not line.startswith(("  plm:secrets:", "    secure: "))]
    at = kept.index("config:") + 1
    kept[at:at] = ["  plm:secrets:", f"    secure: {sealed}"]
    config_file().write_text("\\n".join(kept) + "\\n")
elif words[:2] == ["config", "get"]:
    [sealed] = [line.split()[1] for line in lines(config_file()) if line.startswith("    secure: ")]
    print(mix(base64.b64decode(sealed)).decode())
elif words[0] == "up":
    stacks[os.environ["PULUMI_STACK"]] = "deployed"
stacks_file.write_text(json.dumps(stacks))
"""


@dataclass(frozen=True)
class Call:
    """One call of pulumi."""

    words: list[str]
    stdin: str
    environment: dict[str, str]
    cwd: str


@dataclass(frozen=True)
class PaperPulumi:
    """The program's folder, what it was asked, and what it is to refuse or to halt at."""

    folder: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """For the environment of whoever is to find it."""
        return {
            "PATH": f"{self.folder / 'programs'}:/usr/bin:/bin",
            "PAPER_PULUMI": str(self.folder),
        }

    @property
    def calls(self) -> list[Call]:
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Call(**json.loads(line)) for line in lines]

    @property
    def steps(self) -> list[str]:
        """The first two words of each call."""
        return [" ".join(call.words[:2]) for call in self.calls]

    @property
    def halting(self) -> Path:
        """Appears when the program halts."""
        return self.folder / "halting"

    def forget(self) -> None:
        """What was asked so far."""
        (self.folder / "asked").unlink(missing_ok=True)

    def refuse(self, text: str) -> None:
        """Fail every call that holds this text; an empty one: none."""
        (self.folder / "refused").write_text(text)

    def halt(self, text: str) -> None:
        """Stop for long at the next call that holds this text."""
        (self.folder / "halted").write_text(text)


def put_pulumi(folder: Path) -> PaperPulumi:
    """Write the program."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "paper_pulumi.py"
    source.write_text(_PROGRAM)
    put(folder / "programs", "pulumi", f'exec {sys.executable} -I -S {source} "$@"')
    return PaperPulumi(folder)


def configuration(workspace: Workspace) -> dict[str, Any]:
    """The stack's own file."""
    found: dict[str, Any] = yaml.safe_load(workspace.configuration.read_text())
    return found


def secrets_of(workspace: Workspace, pulumi: PaperPulumi) -> dict[str, str]:
    """The secrets, opened."""
    file = ("--config-file", str(workspace.configuration))
    command = [str(pulumi.folder / "programs" / "pulumi"), "config", "get", "plm:secrets", *file]
    done = subprocess.run(
        command,
        env=workspace.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def is_known(key: str, keys_file: str) -> bool:
    """Whether a gateway with this file takes this key."""
    return any(
        client["key_sha256"]
        == hashlib.sha256(bytes.fromhex(client["salt"]) + key.encode()).hexdigest()
        for client in json.loads(keys_file)["clients"]
    )
