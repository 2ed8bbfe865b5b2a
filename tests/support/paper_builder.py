"""buildah, skopeo and mmdebstrap on paper: images are lists of layers, and every call is written down."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plmkit.images import recipes
from plmkit.state import Places
from support.programs import put

# Every call is appended to `asked`. A call that holds the text in `refused` fails.
# An image is {"layers": [text, …]}; the layer that a build adds is what its Containerfile and `content` hold.
_PROGRAM = """
import json, os, sys
from pathlib import Path

folder = Path(os.environ["PAPER_BUILDER"])
name, words = sys.argv[1], sys.argv[2:]
with (folder / "asked").open("a") as asked:
    asked.write(json.dumps([name, *words]) + "\\n")
refused = (folder / "refused").read_text() if (folder / "refused").exists() else ""
if refused and refused in " ".join([name, *words]):
    sys.exit("step 3: no space left on device")

def stored(reference):
    storage = folder / "storage"
    storage.mkdir(exist_ok=True)
    return storage / reference.replace("/", "_")

def option(start):
    return [word.removeprefix(start) for word in words if word.startswith(start)]

def put_blob(layout, content):
    import hashlib  # few calls need it, and each is a process of its own
    digest = hashlib.sha256(content).hexdigest()
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)
    (blobs / digest).write_bytes(content)
    return {"digest": "sha256:" + digest, "size": len(content)}

def build():
    reference = words[words.index("--tag") + 1]
    layers = []
    for argument in option("--build-arg="):
        below = stored(argument.partition("=")[2])
        if not below.exists():
            sys.exit(f"{below}: image not known")
        layers = json.loads(below.read_text())["layers"]
    content = Path(words[-1], "content-" + reference.rpartition("/")[2])
    own = Path(words[words.index("--file") + 1]).read_text()
    own += content.read_text() if content.exists() else ""
    stored(reference).write_text(json.dumps({"layers": [*layers, own]}))

def export(source, target):
    reference = source.removeprefix("containers-storage:")
    layout = Path(target.removeprefix("oci:").partition(":")[0])
    image = json.loads(stored(reference).read_text())
    layers = [put_blob(layout, layer.encode()) for layer in image["layers"]]
    config = put_blob(layout, json.dumps({"of": reference, "layers": layers}).encode())
    manifest = put_blob(layout, json.dumps({"config": config, "layers": layers}).encode())
    index = layout / "index.json"
    manifests = json.loads(index.read_text())["manifests"] if index.exists() else []
    named = {"annotations": {"org.opencontainers.image.ref.name": reference}}
    index.write_text(json.dumps({"manifests": [*manifests, {**manifest, **named}]}))

if name == "mmdebstrap":
    Path(next(word for word in words if word.endswith("base.tar"))).write_text("root")
elif name == "skopeo" and words[-1].startswith("oci:"):
    export(words[-2], words[-1])
elif name == "buildah" and words[0] == "bud":
    build()
elif name == "buildah" and words[0] == "inspect":
    sys.exit(0 if stored(words[-1]).exists() else 1)
elif name == "buildah" and words[0] == "rmi":
    (folder / "pruned").touch()
elif name == "buildah" and words[0] == "from":
    print("working-container")
elif name == "buildah" and words[0] == "commit":
    stored(words[-1]).write_text(json.dumps({"layers": ["debian"]}))
"""


@dataclass(frozen=True)
class PaperBuilder:
    """The programs' folder, and what they were asked."""

    folder: Path

    @property
    def variables(self) -> Mapping[str, str]:
        """For the environment of whoever is to find these programs."""
        return {
            "PATH": f"{self.folder / 'programs'}:/usr/bin:/bin",
            "PAPER_BUILDER": str(self.folder),
        }

    @property
    def asked(self) -> list[list[str]]:
        path = self.folder / "asked"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def built(self) -> list[str]:
        """Names of images in the order in which they were built."""
        return [
            words[words.index("--tag") + 1].rpartition("/")[2]
            for words in self.asked
            if words[:2] == ["buildah", "bud"]
        ]

    def forget(self) -> None:
        """What was asked so far."""
        (self.folder / "asked").unlink(missing_ok=True)

    def refuse(self, text: str) -> None:
        """Fail every call that holds this text; an empty one: none."""
        (self.folder / "refused").write_text(text)


def put_builder(folder: Path) -> PaperBuilder:
    """Write the programs."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "paper_builder.py"
    source.write_text(_PROGRAM)
    put(folder / "programs", "unshare", 'while [ "${1#--}" != "$1" ]; do shift; done; exec "$@"')
    for name in ("buildah", "skopeo", "mmdebstrap"):
        put(folder / "programs", name, f'exec {sys.executable} -I -S {source} {name} "$@"')
    return PaperBuilder(folder)


def read_json(path: Path) -> Any:
    """A file's value."""
    return json.loads(path.read_text())


def furnish(folder: Path) -> Places:
    """A checkout with one file per source, and built tools."""
    made = Places(folder / "checkout", folder / "cache", folder / "state")
    tools = made.cache / "tools" / "bin"
    tools.mkdir(parents=True)
    for recipe in recipes.RECIPES:
        for name in (recipe.containerfile, *recipe.sources):
            is_file = Path(name).suffix or name.endswith("Containerfile")
            path = made.checkout / (name if is_file else f"{name}/code.py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name}\n")
        for tool in recipe.tools:
            (tools / tool).write_text(tool)
    return made
