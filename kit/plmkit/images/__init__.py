"""Container images without registry or daemon: built by content, kept in one layout, imported as a delta."""

from plmkit.images.building import carried_migrations, ensure, forget_older
from plmkit.images.delivering import load, push
from plmkit.images.workshop import Image

__all__ = ["Image", "carried_migrations", "ensure", "forget_older", "load", "push"]
