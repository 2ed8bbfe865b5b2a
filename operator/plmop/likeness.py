"""Whether an object is as it is to be: all that is desired is there, whatever others added, however it is written."""

import math
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

# As Kubernetes writes amounts of processor time, memory and the like: 500m, 0.5, 64Mi, 1e3.
QUANTITY_PATTERN = (
    "^([0-9]{1,15}([.][0-9]{0,9})?|[.][0-9]{1,9})([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$"
)
_QUANTITY = re.compile(QUANTITY_PATTERN)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_MILLI = 1000


def is_covered(desired: Any, present: Any) -> bool:
    """Whether everything desired is present. What others added beside it stays theirs."""
    if isinstance(desired, Mapping):
        return isinstance(present, Mapping) and all(
            key in present and _is_value_covered(key, value, present[key])
            for key, value in desired.items()
        )
    if isinstance(desired, list) and desired and isinstance(desired[0], Mapping):
        known = {_list_key(item): item for item in present} if isinstance(present, list) else {}
        return all(is_covered(item, known.get(_list_key(item))) for item in desired)
    return bool(desired == present)


def _is_value_covered(key: str, desired: Any, present: Any) -> bool:
    if key == "resources" and isinstance(desired, Mapping) and isinstance(present, Mapping):
        return all(
            _are_quantities_covered(of, present.get(kind) or {}) for kind, of in desired.items()
        )
    return is_covered(desired, present)


def _are_quantities_covered(desired: Mapping[str, Any], present: Mapping[str, Any]) -> bool:
    # The API server writes them in a form of its own: what was 1024Mi comes back as 1Gi.
    return all(
        name in present and is_same_quantity(text, present[name]) for name, text in desired.items()
    )


def _list_key(item: Mapping[str, Any]) -> Any:
    # Every list of objects that we write is keyed by name, as server-side apply merges most of them.
    return item.get("name")


def is_same_quantity(one: object, other: object) -> bool:
    """Whether two quantities are the same amount. What is none is compared as it stands."""
    amounts = _milli(str(one)), _milli(str(other))
    return one == other if None in amounts else amounts[0] == amounts[1]


def _milli(text: str) -> int | None:
    """A quantity in thousandths, rounded up as Kubernetes does with resources; None when it is none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return None
    number, _, suffix = found.groups()
    suffix = suffix or ""
    if suffix in _BINARY:
        factor = Fraction(2 ** _BINARY[suffix])
    elif suffix in _DECIMAL:
        factor = Fraction(10) ** _DECIMAL[suffix]
    else:
        factor = Fraction(10) ** int(suffix[1:])
    return math.ceil(Fraction(number) * factor * _MILLI)
