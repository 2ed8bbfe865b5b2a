"""Tools of plm: built from pinned modules into the cache, or taken from PATH where they fit."""

from plmkit.tools.building import Report, Row, ensure

__all__ = ["Report", "Row", "ensure"]
