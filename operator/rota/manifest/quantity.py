"""Amounts as manifests write them, in the units of `rota.core.model`.

Every function takes text that has passed the schema, so none of them fails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rota.core.model import Amount

_BINARY: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_MEMORY_UNITS: Final = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, **_BINARY}
# Compose's units are powers of 1024, whatever they are called.
_SIZE_UNITS: Final = {
    **dict.fromkeys(("", "b"), 1),
    **dict.fromkeys(("k", "kb"), 2**10),
    **dict.fromkeys(("m", "mb"), 2**20),
    **dict.fromkeys(("g", "gb"), 2**30),
    **_BINARY,
}
_UNIT_MILLISECONDS: Final = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


def millicores(stated: int | str) -> int:
    """`2`, `"0.5"` or `500m`."""
    if isinstance(stated, int):
        return stated * 1000
    if stated.endswith("m"):
        return int(stated[:-1])
    whole, _, fraction = stated.partition(".")
    return int(whole) * 1000 + int(fraction.ljust(3, "0"))


def memory_bytes(stated: int | str) -> int:
    """`256Mi`, `1Gi`, `512M` or a plain number of bytes."""
    return _scaled(stated, _MEMORY_UNITS)


def size_bytes(stated: int | str) -> int:
    """Compose's `64m`, `64mb`, `64Mi` or a plain number of bytes."""
    return _scaled(stated, _SIZE_UNITS)


def seconds(stated: str) -> float:
    """`30s`, `1h30m` or `500ms`."""
    parts = re.findall("([0-9]+)(?:[.]([0-9]+))?(ms|[hms])", stated)
    total = sum(
        int(whole) * _UNIT_MILLISECONDS[unit] + int(fraction.ljust(3, "0")) for whole, fraction, unit in parts
    )
    return total / 1000


def stated_seconds(stated: Mapping[str, Any], key: str, default: float) -> float:
    """The duration under `key` of a mapping, in seconds; `default` where it has no such key."""
    return seconds(stated[key]) if key in stated else default


def amount(stated: int | str) -> Amount:
    """`4`, or `50%`."""
    if isinstance(stated, int):
        return Amount(value=stated)
    return Amount(value=int(stated.removesuffix("%")), percent=True)


def _scaled(stated: int | str, units: dict[str, int]) -> int:
    if isinstance(stated, int):
        return stated
    number = stated.rstrip("".join(units))
    return int(number) * units[stated[len(number) :]]
