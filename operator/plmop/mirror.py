"""What the watch streams and our own writes have shown of the cluster: the operator reads from here, not from the API.

A resync replaces it by fresh lists, so nothing that a stream lost stays lost. It holds the contents of no Secret
that is not the operator's.
"""

from collections.abc import Iterable

from plmop import ownership
from plmop.actions import Manifest


class Mirror:
    """The newest known state of each object of the watched kinds, by kind and name. One namespace."""

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], Manifest] = {}
        # At which version an object was deleted: an older state that arrives late must not raise it again.
        self._graves: dict[tuple[str, str], int] = {}

    def get(self, kind: str, name: str) -> Manifest | None:
        """An object, or None when there is none as far as we know."""
        return self._objects.get((kind, name))

    def of_kind(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        return [found for (of_kind, _), found in self._objects.items() if of_kind == kind]

    def saw(self, kind: str, manifest: Manifest) -> bool:
        """Take note of a state. Returns whether it was news: streams repeat, and may lag behind our own writes."""
        place = (kind, str(manifest["metadata"]["name"]))
        version = _version(manifest)
        known = self._objects.get(place)
        if known is not None and _version(known) >= version:
            return False
        if self._graves.get(place, 0) >= version:
            return False
        self._objects[place] = _slim(kind, manifest)
        return True

    def lost(self, kind: str, manifest: Manifest) -> bool:
        """Take note of a deletion. Returns whether it was news: a successor of the same name stays."""
        place = (kind, str(manifest["metadata"]["name"]))
        version = _version(manifest)
        known = self._objects.get(place)
        if known is not None and _version(known) > version:
            return False
        # Also for what was never seen: the answer to our own apply may still be on its way.
        self._graves[place] = max(version, self._graves.get(place, 0))
        return self._objects.pop(place, None) is not None

    def replace(self, kind: str, listed: Iterable[Manifest], version: int) -> list[str]:
        """Take a list that was read at `version` as the truth of a kind, but for what is newer.

        Returns the names that differed. Streams that are alive leave none, or a few that are under way.
        """
        fresh = {str(manifest["metadata"]["name"]): manifest for manifest in listed}
        gone = [
            found
            for found in self.of_kind(kind)
            if found["metadata"]["name"] not in fresh and _version(found) <= version
        ]
        for found in gone:
            del self._objects[kind, str(found["metadata"]["name"])]
        news = [name for name, manifest in fresh.items() if self.saw(kind, manifest)]
        self._graves = {
            place: grave
            for place, grave in self._graves.items()
            if place[0] != kind or grave > version
        }
        return sorted([*(str(found["metadata"]["name"]) for found in gone), *news])


def _slim(kind: str, manifest: Manifest) -> Manifest:
    if kind == "Secret" and not ownership.is_ours_to_read(manifest):
        return _without_contents(manifest)
    # Who manages which field is half of an object's size and never asked for.
    metadata = {key: of for key, of in manifest["metadata"].items() if key != "managedFields"}
    return {**manifest, "metadata": metadata}


def _without_contents(secret: Manifest) -> Manifest:
    # Lists and watches bring every Secret of the namespace. Of those that are none of our business we keep what
    # tells whose they are; annotations may hold the contents once more, as kubectl's do.
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "ownerReferences")
    metadata = {key: secret["metadata"][key] for key in kept if key in secret["metadata"]}
    head = {key: secret[key] for key in ("apiVersion", "kind", "type") if key in secret}
    return {**head, "metadata": metadata}


def _version(manifest: Manifest) -> int:
    # Kubernetes promises since 1.35 that versions of one kind compare as numbers.
    return int(manifest["metadata"]["resourceVersion"])
