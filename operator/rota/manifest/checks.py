"""What must hold between documents. Everything here depends on the commit alone, but `dated_findings`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from rota.core.model import CapacityPolicy, Fleet, Override, WorkloadId
from rota.core.windows import BASE
from rota.manifest.capacity import EFFECTS
from rota.manifest.document import Manifest
from rota.manifest.overlaps import overlapping_windows
from rota.manifest.problem import Pointer, Problem, did_you_mean, shown

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


def check(manifests: Iterable[Manifest], *, complete: bool) -> Iterator[Problem]:
    """Problems between documents.

    Unless `complete`, some documents were refused before; then nothing is said of what is missing.
    """
    in_order = sorted(manifests, key=lambda manifest: manifest.order)
    repository = _Repository(in_order)
    yield from _same_names(repository)
    yield from _two_fleets(repository)
    yield from _two_bases(repository)
    yield from overlapping_windows(repository.policies)
    yield from _same_time_overrides(repository)
    if complete:
        yield from _unknown_workloads(repository)
        yield from _unknown_targets(repository)


def dated_findings(fleet: Fleet, now: datetime) -> tuple[Problem, ...]:
    """Warnings that depend on the date: Overrides that have ended at `now`, an aware instant."""
    return tuple(
        Problem(
            *override.source,
            "spec.until",
            f"Override {override} ended at {override.until.isoformat()}",
            "Delete it.",
            "warning",
        )
        for override in fleet.overrides
        if override.source is not None and override.until <= now
    )


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
        stated: list[tuple[Pointer, Mapping[WorkloadId, object]]] = [(("spec", "base"), policy.base)]
        stated += [(("spec", "windows", at), window.replicas) for at, window in enumerate(policy.windows)]
        for pointer, replicas in stated:
            for workload in replicas:
                place = (*pointer, "replicas", workload.name)
                yield from _unknown(repository, manifest, place, ("Service", *workload))


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
