"""Images that a cluster cannot get: a pod that waits for one has said nothing yet, so no log tells why. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from plmkit.kubectl import with_context

_NEVER = "ErrImageNeverPull"
_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ImageInspectError", _NEVER}
)


@dataclass(frozen=True)
class FailedPull:
    """One container's image, with Kubernetes' reason, and its words where it has any."""

    image: str
    reason: str
    message: str
    has_login: bool  # the pod names a Secret to pull by

    @property
    def what(self) -> str:
        """What is wrong, in a sentence."""
        return ": ".join(filter(None, (f"no image {self.image}", self.reason, self.message)))

    def cure(self, context: str | None) -> str:
        """What may help, on that cluster."""
        up = with_context("plm up", context)
        if context is None:
            # It has no way out, so nothing is ever pulled there.
            return f"{up}, which builds images and imports what the cluster lacks"
        if self.reason == _NEVER:
            return f"plm:imagePullPolicy: IfNotPresent in the stack's file, then {up}"
        registry = self.image.partition("/")[0]
        given = f"{with_context('plm stack init', context)} --registry-login FILE"
        if not self.has_login:
            return f"{up}, which pushes it; where {registry} asks who pulls, before it: {given}"
        return (
            f"{up}, which pushes it; where {registry} knows that login no more, before it: {given}"
        )


def find_failed_pull(pods: Iterable[Mapping[str, Any]]) -> FailedPull | None:
    """The first image that one of these pods waits for in vain."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses", ()):
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in _REASONS:
                return FailedPull(
                    image=str(container.get("image")),
                    reason=waiting["reason"],
                    message=waiting.get("message", ""),
                    has_login=bool(pod.get("spec", {}).get("imagePullSecrets")),
                )
    return None
