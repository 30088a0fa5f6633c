"""Affinities between workloads that no placement could meet, whatever hosts there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.manifest.document import Manifest
from rota.manifest.problem import Pointer, Problem

Services = Sequence[tuple[Manifest, Service]]

_KEEP_ONE: Final = "Remove one of them, or let one be preferred only: required: false."
_SHOWN: Final = 12  # workloads of a circle; the middle of a longer one is left out


def impossible_neighbours(services: Services) -> Iterator[Problem]:
    """Circles of required affinities, and pairs of which each would be with the other and apart from it."""
    manifests = {service.id: (manifest, service) for manifest, service in services}
    yield from _circles(manifests)
    for manifest, service in services:
        for index, rule in enumerate(service.placement.affinity):
            other = manifests.get(rule.workload)
            if not rule.required or other is None or rule.workload == service.id:
                continue
            for apart in other[1].placement.anti_affinity:
                if apart.required and apart.workload == service.id and apart.scope == rule.scope:
                    message = (
                        f"{service.id.name} must be with {rule.workload.name}, which must be apart from"
                        f" {service.id.name} by its antiAffinity at {other[0].place}: no place would do"
                    )
                    yield manifest.problem(_place(index), message, _KEEP_ONE)


def _circles(manifests: Mapping[WorkloadId, tuple[Manifest, Service]]) -> Iterator[Problem]:
    wanted = {
        name: [
            rule.workload
            for rule in service.placement.affinity
            if rule.required and rule.workload in manifests
        ]
        for name, (_, service) in manifests.items()
    }
    for circle in _circles_of(wanted):
        manifest, service = manifests[circle[-1]]
        rules = service.placement.affinity
        index = next(at for at, rule in enumerate(rules) if rule.required and rule.workload == circle[0])
        message = f"required affinities form a circle, of which none could be placed first: {_drawn(circle)}"
        mend = "State it on one of them only."
        yield manifest.problem(_place(index), message, mend if len(circle) == 2 else _KEEP_ONE)


def _place(index: int) -> Pointer:
    return ("spec", "placement", "affinity", index, "service")


def _drawn(circle: Sequence[WorkloadId]) -> str:
    names = [workload.name for workload in (*circle, circle[0])]
    if len(names) > _SHOWN:
        names = [*names[: _SHOWN // 2], "...", *names[-_SHOWN // 2 :]]
    return " -> ".join(names)


def _circles_of(wanted: Mapping[WorkloadId, Sequence[WorkloadId]]) -> Iterator[list[WorkloadId]]:
    """Circles that have no workload in common, at least one of every knot.

    Without recursion, and every workload is entered once: a chain may be thousands long.
    """
    done: set[WorkloadId] = set()
    told: set[WorkloadId] = set()
    for root in wanted:
        path = [root] if root not in done else []
        depths = {root: 0}
        open_ends = [iter(wanted[root])]
        while path:
            following = next(open_ends[-1], None)
            if following is None:
                open_ends.pop()
                depths.pop(path[-1])
                done.add(path.pop())
            elif following in depths:
                if following in told or path[-1] in told:
                    continue
                circle = path[depths[following] :]
                if told.isdisjoint(circle):
                    yield circle
                told.update(circle)
            elif following not in done:
                depths[following] = len(path)
                path.append(following)
                open_ends.append(iter(wanted[following]))
