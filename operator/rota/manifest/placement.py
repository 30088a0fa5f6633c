"""Where a workload may run, by itself and beside others: `spec.placement` to `PlacementRules`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rota.core.ids import WorkloadId
from rota.core.rules import HOST_SCOPE, Affinity, Effect, PlacementRules, Spread, Strategy, Toleration
from rota.manifest.problem import Pointer
from rota.manifest.reader import Reader
from rota.manifest.selector import selector

_HERE: Final[Pointer] = ("spec", "placement")


def placement_rules(reader: Reader, stated: Mapping[str, Any]) -> PlacementRules:
    """The rules of a workload; what contradicts itself is left in the reader."""
    affinity = _neighbours(reader, "affinity", stated)
    anti_affinity = _neighbours(reader, "antiAffinity", stated)
    _check_itself(reader, affinity)
    _check_both(reader, affinity, anti_affinity)
    return PlacementRules(
        host_selector=selector(reader, (*_HERE, "hostSelector"), stated.get("hostSelector", {})),
        tolerations=tuple(_toleration(item) for item in stated.get("tolerations", ())),
        max_per_host=stated.get("maxPerHost"),
        spread=_spread(reader, stated.get("spread", ())),
        affinity=affinity,
        anti_affinity=anti_affinity,
        strategy=Strategy(stated.get("strategy", "spread")),
    )


def _toleration(stated: Mapping[str, Any]) -> Toleration:
    effect = Effect(stated["effect"]) if "effect" in stated else None
    return Toleration(key=stated["key"], value=stated.get("value"), effect=effect)


def _spread(reader: Reader, stated: Sequence[Mapping[str, Any]]) -> tuple[Spread, ...]:
    keys: set[str] = set()
    for index, item in enumerate(stated):
        if item["key"] in keys:
            message = f"two entries spread over the label {item['key']}"
            reader.report((*_HERE, "spread", index, "key"), message, "Keep one of them.")
        keys.add(item["key"])
    return tuple(
        Spread(
            key=item["key"],
            max_skew=item.get("maxSkew", 1),
            hard=item.get("whenUnsatisfiable") == "DoNotSchedule",
        )
        for item in stated
    )


def _neighbours(reader: Reader, key: str, stated: Mapping[str, Any]) -> tuple[Affinity, ...]:
    """The entries of `affinity` or `antiAffinity`, with names of the own namespace."""
    seen: set[tuple[str, str]] = set()
    found = []
    for index, item in enumerate(stated.get(key, ())):
        name, scope = item["service"], item.get("scope", HOST_SCOPE)
        if (name, scope) in seen:
            message = f"two entries name {name} with the scope {scope}"
            reader.report((*_HERE, key, index), message, "Keep one of them.")
        seen.add((name, scope))
        workload = WorkloadId(reader.namespace, name)
        found.append(Affinity(workload=workload, scope=scope, required=item.get("required", False)))
    return tuple(found)


def _check_itself(reader: Reader, affinity: Sequence[Affinity]) -> None:
    for index, rule in enumerate(affinity):
        if rule.required and rule.workload == (reader.namespace, reader.name):
            message = "a required affinity to itself says nothing: every instance is where it is"
            mend = (
                "To gather the instances on few hosts, write strategy: pack; to keep them to some hosts,"
                " write a hostSelector."
            )
            reader.report((*_HERE, "affinity", index, "service"), message, mend)


def _check_both(reader: Reader, affinity: Sequence[Affinity], anti_affinity: Sequence[Affinity]) -> None:
    together = {(rule.workload, rule.scope) for rule in affinity if rule.required}
    for index, rule in enumerate(anti_affinity):
        if rule.required and (rule.workload, rule.scope) in together:
            name, scope = rule.workload.name, rule.scope
            message = f"{name} is required both together and apart with the scope {scope}: no place would do"
            mend = "Remove one of them, or let one be preferred only: required: false."
            reader.report((*_HERE, "antiAffinity", index, "service"), message, mend)
