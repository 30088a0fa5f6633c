"""What must hold between documents. Everything here depends on the commit alone, but `dated_findings`.

A warning is for what is sound but has no effect, or waits for something that another commit may bring.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import groupby, islice
from typing import Any

from rota.core.ids import WorkloadId
from rota.core.model import INSTANCES, CapacityPolicy, Fleet, Host, Override, Quota, Service
from rota.core.quotas import breaches, in_words
from rota.core.windows import BASE
from rota.manifest.capacity import EFFECTS
from rota.manifest.counts import given_counts, impossible_counts, stated_counts
from rota.manifest.dated import never_given, spent
from rota.manifest.dependencies import circular_dependencies, dependency_places
from rota.manifest.document import Manifest
from rota.manifest.neighbours import impossible_neighbours
from rota.manifest.openings import too_many_openings
from rota.manifest.overlaps import overlapping_windows
from rota.manifest.problem import MAX_PROBLEMS, Pointer, Problem, did_you_mean, dotted, shown
from rota.manifest.reader import extended_names

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Repository:
    """The manifests in the order of their places, and the names they give."""

    manifests: Sequence[Manifest]

    @cached_property
    def names(self) -> Mapping[tuple[str, str], set[str]]:
        """Names by kind and namespace."""
        found: dict[tuple[str, str], set[str]] = {}
        for manifest in self.manifests:
            document = manifest.document
            found.setdefault((document.kind, document.namespace), set()).add(document.name)
        return found

    @cached_property
    def policies(self) -> Sequence[tuple[Manifest, CapacityPolicy]]:
        return [
            (manifest, manifest.definition)
            for manifest in self.manifests
            if isinstance(manifest.definition, CapacityPolicy)
        ]

    @cached_property
    def overrides(self) -> Sequence[tuple[Manifest, Override]]:
        return [
            (manifest, manifest.definition)
            for manifest in self.manifests
            if isinstance(manifest.definition, Override)
        ]

    @cached_property
    def services(self) -> Sequence[tuple[Manifest, Service]]:
        return [
            (manifest, manifest.definition)
            for manifest in self.manifests
            if isinstance(manifest.definition, Service)
        ]

    @cached_property
    def quotas(self) -> Sequence[tuple[Manifest, Quota]]:
        return [
            (manifest, manifest.definition)
            for manifest in self.manifests
            if isinstance(manifest.definition, Quota)
        ]


def check(manifests: Iterable[Manifest], *, complete: bool) -> Iterator[Problem]:
    """Problems between documents.

    Unless `complete`, some documents were refused before; then nothing is said of what is missing.
    """
    in_order = sorted(manifests, key=lambda manifest: manifest.order)
    repository = _Repository(in_order)
    yield from _same_names(repository)
    yield from _two_fleets(repository)
    yield from _two_bases(repository)
    often = tuple(too_many_openings(repository.policies))
    yield from often or overlapping_windows(repository.policies)
    yield from _same_time_overrides(repository)
    given = tuple(given_counts(repository.policies, repository.overrides))
    yield from impossible_counts(repository.services, given)
    yield from impossible_neighbours(repository.services)
    yield from circular_dependencies(repository.services)
    if complete:
        yield from _unknown_workloads(repository)
        yield from _unknown_targets(repository)
        yield from _unknown_neighbours(repository)
        yield from _unknown_dependencies(repository)
        for problem in (*_undeclared_resources(repository), *_idle_quotas(repository)):
            yield replace(problem, severity="warning")


def dated_findings(fleet: Fleet, now: datetime) -> tuple[Problem, ...]:
    """Findings that depend on the date, for the person who brings a commit at `now`, an aware instant.

    None of them makes a commit invalid: what has ended or has no effect is a warning, quotas that the
    coming year breaks are errors of this person alone.
    """
    return (*spent(fleet, now), *never_given(fleet, now), *_short_quotas(fleet, now))


def _short_quotas(fleet: Fleet, now: datetime) -> Iterator[Problem]:
    """Each distinct breach of a quota in the coming year, but of one quota no more than anyone reads."""
    mend = "Raise the limit, or ask for less."
    for quota, found in groupby(breaches(fleet, now), key=lambda breach: breach.quota):
        place = quota.source
        if place is not None:
            for breach in islice(found, MAX_PROBLEMS):
                pointer = dotted(("spec", "hard", breach.dimension))
                yield Problem(place.path, place.line, place.column, pointer, in_words(breach), mend)


def _same_names(repository: _Repository) -> Iterator[Problem]:
    first: dict[tuple[str, str, str], Manifest] = {}
    for manifest in repository.manifests:
        document = manifest.document
        earlier = first.setdefault((document.kind, document.namespace, document.name), manifest)
        if earlier is not manifest:
            message = f"{document} is already defined at {earlier.place}"
            yield manifest.problem(("metadata", "name"), message, "Rename or remove one of them.")


def _two_fleets(repository: _Repository) -> Iterator[Problem]:
    fleets = [manifest for manifest in repository.manifests if isinstance(manifest.definition, Fleet)]
    for manifest in fleets[1:]:
        if manifest.document.name != fleets[0].document.name:
            message = f"a repository has exactly one Fleet, and one is already defined at {fleets[0].place}"
            yield manifest.problem(("kind",), message, "Remove one of them.")


def _two_bases(repository: _Repository) -> Iterator[Problem]:
    first: dict[WorkloadId, Manifest] = {}
    for manifest, policy in repository.policies:
        for workload in policy.base:
            earlier = first.setdefault(workload, manifest)
            if earlier is not manifest:
                pointer = ("spec", "base", "replicas", workload.name)
                message = f"the base of {workload} is already stated by {earlier.document} at {earlier.place}"
                yield manifest.problem(pointer, message, "Remove one of them.", at_key=True)


def _same_time_overrides(repository: _Repository) -> Iterator[Problem]:
    by_field: dict[tuple[str, str, str, str], list[tuple[Manifest, Override]]] = {}
    for manifest, override in repository.overrides:
        effect = next(key for key in EFFECTS if key in manifest.document.raw["spec"])
        namespace = _target_namespace(override)
        key = (override.target_kind, namespace, override.target_name, effect)
        by_field.setdefault(key, []).append((manifest, override))
    for (kind, _, name, effect), claims in by_field.items():
        claims.sort(key=lambda claim: claim[1].start or _LONG_AGO)
        longest = claims[0]
        for claim in claims[1:]:
            start = claim[1].start or _LONG_AGO
            if start < longest[1].until:
                earlier, later = sorted((claim[0], longest[0]), key=lambda manifest: manifest.order)
                setter = f"{earlier.document} at {earlier.place}"
                message = f"{effect} of {kind} {name} is set at the same time by {setter}"
                mend = "Let one end before the other begins."
                yield later.problem(("spec", effect), message, mend, at_key=True)
            longest = max(longest, claim, key=lambda pair: pair[1].until)


def _target_namespace(override: Override) -> str:
    return override.namespace if override.target_kind in ("Service", "CapacityPolicy") else ""


def _unknown_workloads(repository: _Repository) -> Iterator[Problem]:
    for manifest, policy in repository.policies:
        for pointer, workload, _ in stated_counts(policy):
            yield from _unknown(repository, manifest, pointer, ("Service", *workload))


def _unknown_neighbours(repository: _Repository) -> Iterator[Problem]:
    for manifest, service in repository.services:
        rules = {"affinity": service.placement.affinity, "antiAffinity": service.placement.anti_affinity}
        for key, neighbours in rules.items():
            for index, rule in enumerate(neighbours):
                pointer = ("spec", "placement", key, index, "service")
                yield from _unknown(repository, manifest, pointer, ("Service", *rule.workload))


def _unknown_dependencies(repository: _Repository) -> Iterator[Problem]:
    for manifest, service in repository.services:
        for pointer, name in dependency_places(manifest):
            yield from _unknown(repository, manifest, pointer, ("Service", service.id.namespace, name))


def _undeclared_resources(repository: _Repository) -> Iterator[Problem]:
    """Extended resources that are asked for or limited, and that no Host has."""
    declared: set[str] = set()
    for manifest in repository.manifests:
        if isinstance(manifest.definition, Host):
            declared.update(extended_names(manifest.document.raw["spec"].get("resources", {})))
    known = f"Hosts declare {', '.join(sorted(declared))}." if declared else ""
    asked: list[tuple[Manifest, Pointer, Mapping[str, Any]]] = []
    for manifest in repository.manifests:
        spec = manifest.document.raw["spec"]
        if isinstance(manifest.definition, Service):
            asked.append((manifest, ("spec", "resources", "requests"), spec["resources"]["requests"]))
        elif isinstance(manifest.definition, Quota):
            asked.append((manifest, ("spec", "hard"), spec["hard"]))
    for manifest, pointer, stated in asked:
        for name in extended_names(stated):
            if name not in declared:
                message = f"no Host declares the resource {name} in spec.resources"
                # Few misspell the first letter, and "gpu" is another word than "cpu".
                own = {key for key in ("cpu", "memory", INSTANCES) if key[0] == name[0] and key not in stated}
                mend = did_you_mean(name, declared | own) or known or "Declare it at the Hosts that have it."
                yield manifest.problem((*pointer, name), message, mend, at_key=True)


def _idle_quotas(repository: _Repository) -> Iterator[Problem]:
    for manifest, quota in repository.quotas:
        if not any(quota.covers(service) for _, service in repository.services):
            message = f"{manifest.document} covers no workload"
            those = " and ".join(str(each) for each in quota.selector)
            mend = f"It counts those of namespace {quota.namespace}{' with ' if those else ''}{those}."
            yield manifest.problem(("spec",), message, mend)


def _unknown_targets(repository: _Repository) -> Iterator[Problem]:
    windows = {
        (policy.namespace, policy.name): [BASE, *(window.name for window in policy.windows)]
        for _, policy in repository.policies
    }
    for manifest, override in repository.overrides:
        target = (override.target_kind, _target_namespace(override), override.target_name)
        yield from _unknown(repository, manifest, ("spec", "target", "name"), target)
        known = windows.get((override.namespace, override.target_name))
        if override.window is not None and known is not None and override.window not in known:
            message = f"CapacityPolicy {override.target_name} has no window {override.window}"
            mend = did_you_mean(override.window, known) or f"It has {', '.join(known)}."
            yield manifest.problem(("spec", "window"), message, mend)


def _unknown(
    repository: _Repository, manifest: Manifest, pointer: Pointer, wanted: tuple[str, str, str]
) -> Iterator[Problem]:
    """A problem at `pointer` if there is no object of the wanted (kind, namespace, name)."""
    kind, namespace, name = wanted
    known = repository.names.get((kind, namespace), set())
    if name in known:
        return
    elsewhere = sorted(
        other for (each, other), names in repository.names.items() if each == kind and name in names
    )
    within = f" in namespace {namespace}" if namespace else ""
    mend = did_you_mean(name, known)
    if elsewhere:
        mend = f"There is one in namespace {elsewhere[0]}, but only names of the own namespace count."
    message = f"there is no {kind} {shown(name)}{within}"
    yield manifest.problem(pointer, message, mend, at_key=pointer[-1] == name)
