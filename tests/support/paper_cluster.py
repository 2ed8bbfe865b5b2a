"""A cluster kept in memory: the port of plmop.cluster. Applies merge, versions grow, and a write may be the last."""

import copy
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from plmop.actions import Manifest
from plmop.cluster import ClusterError

Place = tuple[str, str]


class Died(Exception):
    """The operator's process ended here."""


class PaperCluster:
    """Objects by kind and name. `before_write` and `after_write` may raise: a crash at that very point."""

    def __init__(self) -> None:
        self.objects: dict[Place, dict[str, Any]] = {}
        self.events: list[Manifest] = []
        self.writes: list[str] = []
        self.before_write: Callable[[str], None] = lambda _: None
        self.after_write: Callable[[str], None] = lambda _: None
        self._numbers: Iterator[int] = count(1)

    async def list_all(self, kind: str) -> tuple[list[Manifest], int]:
        found = [copy.deepcopy(each) for (of, _), each in self.objects.items() if of == kind]
        return list(found), next(self._numbers)

    async def get(self, kind: str, name: str) -> Manifest | None:
        return copy.deepcopy(self.objects.get((kind, name)))

    async def apply(self, manifest: Manifest) -> Manifest:
        return self._write("apply", manifest["kind"], manifest["metadata"]["name"], manifest)

    async def apply_status(self, kind: str, name: str, status: Mapping[str, Any]) -> Manifest:
        place = (kind, name)
        if place not in self.objects:
            raise ClusterError(f"writing the status of {kind} {name}", 404, "not found")
        self.objects[place].pop("status", None)
        return self._write("status", kind, name, {"status": dict(status)})

    async def delete(self, kind: str, name: str, uid: str) -> None:
        self.before_write(f"delete {kind} {name}")
        found = self.objects.get((kind, name))
        if found is not None and found["metadata"]["uid"] == uid:
            del self.objects[kind, name]
            self.writes.append(f"delete {kind} {name}")
        self.after_write(f"delete {kind} {name}")

    async def tell(self, event: Manifest) -> None:
        self.before_write("tell")
        self.events.append(event)
        self.after_write("tell")

    async def create_lease(self, lease: Manifest) -> Manifest:
        name = lease["metadata"]["name"]
        if ("Lease", name) in self.objects:
            raise ClusterError("creating Lease", 409, "already exists")
        return self._write("create", "Lease", name, lease)

    async def replace_lease(self, lease: Manifest) -> Manifest:
        name = lease["metadata"]["name"]
        known = self.objects[("Lease", name)]["metadata"]["resourceVersion"]
        if lease["metadata"]["resourceVersion"] != known:
            raise ClusterError("replacing Lease", 409, "modified meanwhile")
        return self._write("replace", "Lease", name, lease)

    def put(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """An object as a person writes it: a new generation where the spec is another."""
        place = (manifest["kind"], manifest["metadata"]["name"])
        known = self.objects.get(place, {})
        merged = _merged(known, manifest)
        is_same = known.get("spec") == manifest.get("spec")
        generation = known.get("metadata", {}).get("generation", 0)
        merged["metadata"]["generation"] = generation if known and is_same else generation + 1
        if "spec" in manifest:
            merged["spec"] = copy.deepcopy(manifest["spec"])
        return self._store(place, merged)

    def _write(self, verb: str, kind: str, name: str, manifest: Mapping[str, Any]) -> Manifest:
        self.before_write(f"{verb} {kind} {name}")
        place = (kind, name)
        known = self.objects.get(place, {})
        merged = _merged(known, manifest)
        if verb == "apply" and "ownerReferences" not in manifest["metadata"]:
            # Nobody but us writes owners here, and who applies without a field that was its own takes it away.
            merged["metadata"].pop("ownerReferences", None)
        if verb == "apply" and known.get("spec") != merged.get("spec"):
            merged["metadata"]["generation"] = known.get("metadata", {}).get("generation", 0) + 1
        stored = self._store(place, merged)
        self.writes.append(f"{verb} {kind} {name}")
        self.after_write(f"{verb} {kind} {name}")
        return copy.deepcopy(stored)

    def _store(self, place: Place, manifest: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        manifest.setdefault("kind", place[0])
        metadata = manifest.setdefault("metadata", {})
        metadata.setdefault("name", place[1])
        metadata.setdefault("uid", f"uid-{number}")
        metadata["resourceVersion"] = str(number)
        self.objects[place] = manifest
        return manifest


def _merged(known: Any, desired: Any) -> Any:
    """Server-side apply, near enough: maps merge by key, lists of named things by name, all else is replaced."""
    if isinstance(known, dict) and isinstance(desired, Mapping):
        keys = {**known, **desired}
        return {
            key: _merged(known.get(key), desired[key]) if key in desired else known[key]
            for key in keys
        }
    if _is_named(known) and _is_named(desired):
        present = {item["name"]: item for item in known}
        named = {item["name"]: _merged(present.get(item["name"]), item) for item in desired}
        others = [item for name, item in present.items() if name not in named]
        return [*named.values(), *others]
    return copy.deepcopy(desired)


def _is_named(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Mapping) and "name" in item for item in value)
    )
