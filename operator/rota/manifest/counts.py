"""Counts that policies and Overrides give to workloads that cannot have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rota.core.ids import WorkloadId
from rota.core.model import Amount, CapacityPolicy, Fill, Override, Service, Singleton
from rota.manifest.document import Manifest
from rota.manifest.problem import Pointer, Problem

Services = Sequence[tuple[Manifest, Service]]


@dataclass(frozen=True, slots=True)
class Given:
    """One count that is stated outside of its Service, and where."""

    manifest: Manifest
    pointer: Pointer
    workload: WorkloadId
    count: Amount | Fill


def given_counts(
    policies: Sequence[tuple[Manifest, CapacityPolicy]], overrides: Sequence[tuple[Manifest, Override]]
) -> Iterator[Given]:
    """Every count that a policy or an Override states."""
    for manifest, policy in policies:
        for pointer, workload, count in stated_counts(policy):
            yield Given(manifest, pointer, workload, count)
    for manifest, override in overrides:
        if override.replicas is not None:
            workload = WorkloadId(override.namespace, override.target_name)
            yield Given(manifest, ("spec", "replicas"), workload, override.replicas)


def stated_counts(policy: CapacityPolicy) -> Iterator[tuple[Pointer, WorkloadId, Amount | Fill]]:
    """Every count that a policy states, and where."""
    stated: list[tuple[Pointer, Mapping[WorkloadId, Amount | Fill]]] = [(("spec", "base"), policy.base)]
    stated += [(("spec", "windows", at), window.replicas) for at, window in enumerate(policy.windows)]
    for pointer, replicas in stated:
        for workload, count in replicas.items():
            yield (*pointer, "replicas", workload.name), workload, count


def impossible_counts(services: Services, given: Sequence[Given]) -> Iterator[Problem]:
    """Counts that follow what is left over, of workloads whose data stays; more than one of a singleton."""
    volumes = {
        service.id: next(mount.source for mount in service.container.volumes if mount.kind == "volume")
        for _, service in services
        if service.container.pinned
    }
    singletons = {service.id: service for _, service in services if service.singleton is not Singleton.NONE}
    for each in given:
        if each.workload in singletons:
            yield from _too_many(each, singletons[each.workload])
        elif isinstance(each.count, Fill) and each.workload in volumes:
            message = (
                f"{each.workload} cannot fill: it keeps the volume {volumes[each.workload]}, and data is"
                " pinned to slots; a count that follows what is left over would leave volumes behind"
            )
            yield each.manifest.problem(each.pointer, message, "Give a count.")


def _too_many(given: Given, singleton: Service) -> Iterator[Problem]:
    if isinstance(given.count, Fill):
        message = f"{given.workload} cannot fill: it is a singleton, and at most 1 instance may run"
        yield given.manifest.problem(given.pointer, message, "Give 0 or 1.")
        return
    number = given.count.of(singleton.replicas)
    if number > 1:
        stated = f"and {given.count} of its replicas are" if given.count.percent else "and not"
        message = f"{given.workload} is a singleton: at most 1 instance may run, {stated} {number}"
        yield given.manifest.problem(given.pointer, message, "Give 0 or 1.")
