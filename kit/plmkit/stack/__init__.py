"""The Pulumi stack as files under the state folder: made once, deployed by plain `pulumi up`."""

from plmkit.stack.workspace import Workspace

__all__ = ["Workspace"]
