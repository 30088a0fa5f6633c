"""CapacityPolicy and Override documents: zones, instants, and which effect fits which target."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fill, Override, Window
from rota.core.windows import BASE
from rota.manifest.drain import drain
from rota.manifest.exceptions import sound_year
from rota.manifest.problem import Pointer, joined, shown
from rota.manifest.quantity import amount
from rota.manifest.reader import Reader
from rota.manifest.window import window
from rota.manifest.zones import meant, zone, zones

EFFECTS: Final = {
    "replicas": "Service",
    "window": "CapacityPolicy",
    "unschedulable": "Host",
    "drain": "Host",
    "lost": "Host",
    "suspend": "Fleet",
    "allowRemovals": "Fleet",
}


def capacity_policy(reader: Reader) -> CapacityPolicy | None:
    """The policy of a document, or None with the reasons in the reader."""
    spec = reader.spec
    reader.labels()
    zone = _zone(reader, spec["timeZone"])
    base = _replicas(reader, ("spec", "base", "replicas"), spec.get("base", {}).get("replicas", {}))
    windows = _windows(reader, spec.get("windows", []), zone)
    if "base" not in spec and "windows" not in spec:
        reader.report(("spec",), "states neither base nor windows", "Give at least one of them.")
    if zone is None or reader.problems:
        return None
    return CapacityPolicy(
        namespace=reader.namespace,
        name=reader.name,
        zone=zone,
        base=base,
        windows=windows,
        source=reader.source(),
    )


def _zone(reader: Reader, name: str) -> ZoneInfo | None:
    if name in zones():
        return zone(name)
    message = f"there is no time zone {shown(name)}"
    mend = meant(name) or "Name one of IANA, such as Europe/Berlin."
    reader.report(("spec", "timeZone"), message, mend)
    return None


def _windows(reader: Reader, stated: list[Mapping[str, Any]], zone: ZoneInfo | None) -> tuple[Window, ...]:
    names: set[str] = set()
    windows: list[Window | None] = []
    for index, item in enumerate(stated):
        here: Pointer = ("spec", "windows", index)
        if item["name"] == BASE:
            message = f'"{BASE}" is reserved: it is what holds outside every window'
            reader.report((*here, "name"), message, "Choose another name.")
        if item["name"] in names:
            reader.report((*here, "name"), f"two windows are named {item['name']}")
        names.add(item["name"])
        replicas = _replicas(reader, (*here, "replicas"), item["replicas"])
        windows.append(window(reader, here, item, zone, replicas))
    return tuple(found for found in windows if found is not None)


def _replicas(reader: Reader, here: Pointer, stated: Mapping[str, Any]) -> dict[WorkloadId, Amount | Fill]:
    return {
        WorkloadId(reader.namespace, name): _wanted(reader, (*here, name), value)
        for name, value in stated.items()
    }


def _wanted(reader: Reader, here: Pointer, stated: int | str | Mapping[str, Any]) -> Amount | Fill:
    """`4`, `50%`, or a mapping with `fill: true`."""
    if not isinstance(stated, Mapping):
        return amount(stated)
    fill = Fill(min=stated.get("min", 0), max=stated.get("max"), weight=stated.get("weight", 1))
    if fill.max is not None and fill.min > fill.max:
        message = f"min {fill.min} is more than max {fill.max}"
        reader.report((*here, "min"), message, "Lower min, or raise max.")
    return fill


def override(reader: Reader) -> Override | None:
    """The Override of a document, or None with the reasons in the reader."""
    spec = reader.spec
    reader.labels()
    until, start = _instant(reader, "until"), _instant(reader, "from")
    if until is not None and start is not None and until <= start:
        reader.report(("spec", "until"), "until must be after from")
    _check_effect(reader, spec["target"]["kind"])
    replicas = _wanted(reader, ("spec", "replicas"), spec["replicas"]) if "replicas" in spec else None
    draining = drain(reader)
    if until is None or reader.problems:
        return None
    return Override(
        namespace=reader.namespace,
        name=reader.name,
        target_kind=spec["target"]["kind"],
        target_name=spec["target"]["name"],
        until=until,
        start=start,
        reason=spec["reason"],
        replicas=replicas,
        window=spec.get("window"),
        unschedulable=spec.get("unschedulable"),
        drain=draining,
        lost=spec.get("lost"),
        suspend=spec.get("suspend"),
        allow_removals=spec.get("allowRemovals"),
        source=reader.source(("spec", "until")),
    )


def _instant(reader: Reader, key: str) -> datetime | None:
    if key not in reader.spec:
        return None
    if not sound_year(reader, ("spec", key), reader.spec[key]):
        return None
    try:
        return datetime.fromisoformat(reader.spec[key].upper())
    except ValueError:
        message = f"there is no such date and time as {shown(reader.spec[key])}"
        reader.report(("spec", key), message)
        return None


def _check_effect(reader: Reader, kind: str) -> None:
    """Exactly one effect, and one that fits the target."""
    fitting = [key for key in EFFECTS if EFFECTS[key] == kind]
    given = [key for key in EFFECTS if key in reader.spec]
    for key in given:
        if EFFECTS[key] != kind:
            message = f"{key} fits a {EFFECTS[key]}, not a {kind}"
            mend = f"For a {kind}, give {joined(fitting, 'or')}."
            reader.report(("spec", key), message, mend, at_key=True)
    if not given:
        reader.report(("spec",), f"no effect is given: for a {kind}, give {joined(fitting, 'or')}")
    if len(given) > 1 and set(given) <= set(fitting):
        message = f"exactly one of {joined(fitting, 'and')} may be given"
        reader.report(("spec",), message, "Write an Override for each.")
