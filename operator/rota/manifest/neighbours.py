"""Affinities between workloads that no placement could meet, whatever hosts there are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rota.core.ids import WorkloadId
from rota.core.model import Service
from rota.manifest.circles import circles, drawn
from rota.manifest.document import Manifest
from rota.manifest.problem import Pointer, Problem

Services = Sequence[tuple[Manifest, Service]]

_KEEP_ONE: Final = "Remove one of them, or let one be preferred only: required: false."


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
    for circle in circles(wanted):
        manifest, service = manifests[circle[-1]]
        rules = service.placement.affinity
        index = next(at for at, rule in enumerate(rules) if rule.required and rule.workload == circle[0])
        message = f"required affinities form a circle, of which none could be placed first: {drawn(circle)}"
        mend = "State it on one of them only."
        yield manifest.problem(_place(index), message, mend if len(circle) == 2 else _KEEP_ONE)


def _place(index: int) -> Pointer:
    return ("spec", "placement", "affinity", index, "service")
