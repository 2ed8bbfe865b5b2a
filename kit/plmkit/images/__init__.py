"""Container images without registry or daemon: built by content, kept in one layout, imported as a delta."""

from plmkit.images.building import Image, ensure, load, push

__all__ = ["Image", "ensure", "load", "push"]
