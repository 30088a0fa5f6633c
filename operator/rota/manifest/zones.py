"""The time zones that manifests and calendar files may name, with the rules of the package.

Neither the names nor the rules are the machine's: a commit has to be as valid, and its edges have to lie
where they do, on every machine, however old its own files are.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from rota.manifest.problem import did_you_mean, shown

_NO_PLACE = frozenset(("Factory",))
"""What the package lists and nobody lives by."""


@cache
def zones() -> frozenset[str]:
    """Every IANA name."""
    # The list of the package also because names such as "localtime" must not be valid.
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split()) - _NO_PLACE


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of one of `zones()`: equal names are the same object, as zones are compared by identity."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def meant(name: str) -> str:
    """A sentence that names the zone which `name` may stand for, or nothing."""
    plain = name.replace(" ", "_").lower()
    same = [each for each in zones() if each.lower() == plain]
    places = [each for each in zones() if each.lower().endswith("/" + plain.rpartition("/")[2])]
    if any(letter.isdigit() for letter in name) and not same:
        return (
            ""  # it states an offset: the nearest spelling would be another, and GMT+1 is west of Greenwich
        )
    for found in (same, places):
        if len(found) == 1:
            return f"Did you mean {shown(found[0])}?"
    return did_you_mean(name, zones()) if "/" in name else ""
