"""Desired against observed, workload by workload: counts, specs field by field, images, drift, what waits."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rota.core.container import ContainerSpec
from rota.core.decide import Decision
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet, Service
from rota.core.observed import Health, HostState, ObservedContainer, ObservedState
from rota.report.documents import API_VERSION, change_document, unplaced_document
from rota.report.text import one_line

_ABSENT = object()


def difference_document(
    fleet: Fleet, observed: ObservedState, ledger: Ledger, decision: Decision, only: WorkloadId | None = None
) -> dict[str, Any]:
    """What differs, by workload in order; of `only` one where it is given. Workloads that are as they should
    be have no row."""
    there: dict[WorkloadId, list[ObservedContainer]] = defaultdict(list)
    for container in observed.containers():
        there[container.workload].append(container)
    names = sorted(fleet.services.keys() | there.keys()) if only is None else [only]
    rows = (_row(fleet.services.get(one), one, there[one], (observed, ledger, decision)) for one in names)
    return {
        "apiVersion": API_VERSION,
        "kind": "Difference",
        "revision": fleet.revision,
        "workloads": [row for row in rows if row is not None],
    }


def _row(
    service: Service | None,
    workload: WorkloadId,
    containers: list[ObservedContainer],
    world: tuple[ObservedState, Ledger, Decision],
) -> dict[str, Any] | None:
    """One workload; None where nothing differs."""
    observed, ledger, decision = world
    wanted = decision.wants[workload].due if service is not None else 0
    spec = service.spec_hash if service is not None else ""
    known = [one for one in containers if observed.hosts[one.host].state is not HostState.LOST]
    fit = {one.slot for one in known if one.running and one.spec == spec}
    last_seen = Counter(one.host for one in containers if one not in known)
    row = {
        "workload": str(workload),
        "kind": service.kind if service is not None else containers[0].kind,
        "inCommit": service is not None,
        "desired": wanted,
        "running": len({one.slot for one in known if one.running}),
        "asWanted": len(fit),
        "lastSeen": dict(sorted(last_seen.items())),
        "spec": list(_specs(service, containers, ledger)) if service is not None else [],
        "drift": [text for one in containers for text in _drift(one, observed)],
        "changes": [change_document(one) for one in decision.changes if one.workload == workload],
        "unplaced": [unplaced_document(one) for one in decision.unplaced if one.workload == workload],
    }
    differs = len(fit) != wanted or row["running"] != wanted
    lists = ("spec", "drift", "changes", "unplaced")
    return row if differs or any(row[key] for key in lists) else None


def _specs(service: Service, containers: Iterable[ObservedContainer], ledger: Ledger) -> Iterator[str]:
    """What runs with another spec, and in which fields that differs, where it is known in full."""
    others = Counter((one.spec, one.revision) for one in containers if one.spec != service.spec_hash)
    good = ledger.good.get(service.id)
    for (spec, revision), count in sorted(others.items()):
        yield f"{count} instance{'s'[: count > 1]} with {_short(spec)} of commit {revision[:7] or 'unknown'}"
        if good is None or good.spec != spec:
            continue
        yield from _fields(good.container, service.container)
        for name, is_now in service.requests.items():
            was = dict(good.requests.items()).get(name, 0)
            if was != is_now:
                yield f"~ requests.{name}: {was} -> {is_now}"
        old = ledger.images.get((service.id, spec), "")
        new = ledger.images.get((service.id, service.spec_hash), "")
        if old and new and old != new:
            yield f"~ image digest: {old} -> {new}"
    failed = ledger.failed.get(service.id)
    if failed is not None and failed.spec == service.spec_hash:
        yield f"! {_short(failed.spec)} failed before: {failed.reason}"


def _short(spec: str) -> str:
    return f"spec {spec.rpartition(':')[2][:12]}"


def _fields(before: ContainerSpec, after: ContainerSpec) -> Iterator[str]:
    """A line per field that differs; values of the environment are never shown."""
    old, new = dict(_leaves(asdict(before), "")), dict(_leaves(asdict(after), ""))
    for path in sorted(old.keys() | new.keys()):
        was, is_now = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if was == is_now:
            continue
        secret = path.startswith("environment.")
        if was is _ABSENT:
            yield f"+ {path}: {'(set)' if secret else _shown(is_now)}"
        elif is_now is _ABSENT:
            yield f"- {path}: {'(set)' if secret else _shown(was)}"
        else:
            yield f"~ {path}: {'(changed)' if secret else f'{_shown(was)} -> {_shown(is_now)}'}"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif value is not None:
        yield path, value


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _drift(one: ObservedContainer, observed: ObservedState) -> Iterator[str]:
    """What is wrong with an instance beside its spec; of one on a silent host nothing is known."""
    view = observed.hosts[one.host]
    where = f"{one.workload.name}/{one.slot} on {one.host}"
    if view.state is not HostState.REACHABLE:
        yield f"{where}: not known, its host is {view.state}"
    elif one.id in view.stopping:
        yield f"{where}: is being stopped"
    elif not one.running:
        yield f"{where}: is {one.state}"
    elif one.health is Health.UNHEALTHY:
        yield f"{where}: is unhealthy"


def difference_text(document: Mapping[str, Any]) -> str:
    """What `rota diff` prints: a block per workload."""
    lines = []
    for row in document["workloads"]:
        mark = "~" if row["inCommit"] else "-"
        counts = f"{row['desired']} wanted, {row['running']} running, {row['asWanted']} of them as wanted"
        lost = "".join(
            f", {count} last seen on {host}, which is lost" for host, count in row["lastSeen"].items()
        )
        gone = "" if row["inCommit"] else "; the commit does not have it"
        lines.append(f"{mark} {row['kind']} {row['workload']}: {counts}{lost}{gone}")
        lines += [f"    {text}" for key in ("spec", "drift") for text in row[key]]
        lines += [f"    {_change(one)}" for one in row["changes"]]
        for one in row["unplaced"]:
            lines.append(f"    no place for {one['count']}:")
            lines += [
                f"        {', '.join(why['hosts']) or 'everywhere'}: {why['detail']}"
                for why in one["reasons"]
            ]
    return "\n".join(one_line(line) for line in lines)


def _change(one: Mapping[str, Any]) -> str:
    where = " -> ".join(place for place in (one["from"], one["host"]) if place)
    waits = f"; waits: {one['waits']}" if one["waits"] else ""
    return f"{one['change']} {one['slot']}{f' {where}' if where else ''} ({one['cause']}){waits}"
