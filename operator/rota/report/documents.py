"""The status branch as files: sorted keys, no clocks, the same bytes for the same status."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from rota.core.decide import Unplaced
from rota.core.edge_lines import EdgeLine
from rota.core.observed import ObservedContainer
from rota.core.placement.demand import Refusal
from rota.core.placement.headroom import Headroom
from rota.core.planning.actions import Change
from rota.core.quantities import format_resources
from rota.core.rollout_phase import RolloutStatus
from rota.core.status import FleetStatus, HostStatus
from rota.core.workload_status import WorkloadStatus
from rota.report.readme import readme
from rota.report.state import ledger_document

API_VERSION = "rota/v1"
LEDGER_PATH = "state/ledger.json"
EVENTS_PATH = "events.jsonl"


class Encoder:
    """Remembers what every file was made of: only what differs from that is encoded anew."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Mapping[str, Any], bytes]] = {}

    def all(self, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, bytes]:
        """`documents` as files, by path. What is not among them is forgotten."""
        self._last = {path: self._one(path, document) for path, document in documents.items()}
        return {path: content for path, (_, content) in self._last.items()}

    def _one(self, path: str, document: Mapping[str, Any]) -> tuple[Mapping[str, Any], bytes]:
        last = self._last.get(path)
        return last if last is not None and last[0] == document else (document, encode(document))


def documents(status: FleetStatus, events: Iterable[str], encoder: Encoder | None = None) -> dict[str, bytes]:
    """Every file of the status branch, by path. `events` are the lines of `events.jsonl`."""
    made = {"status.json": status_document(status), LEDGER_PATH: ledger_document(status.ledger)}
    for host in status.hosts:
        made[f"hosts/{host.view.name}.json"] = host_document(host)
    for workload in status.workloads:
        made[f"workloads/{workload.namespace}/{workload.name}.json"] = workload_document(workload, status)
    return {
        "README.md": readme(status).encode(),
        EVENTS_PATH: "".join(f"{line}\n" for line in events).encode(),
        **(encoder or Encoder()).all(made),
    }


def encode(document: Mapping[str, Any]) -> bytes:
    """JSON with sorted keys, readable in a diff."""
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def status_document(status: FleetStatus) -> dict[str, Any]:
    """`status.json`: the contract of the command line."""
    return {
        "apiVersion": API_VERSION,
        "kind": "FleetStatus",
        "fleet": {"name": status.fleet, "uid": status.uid},
        "health": status.health,
        "source": {"attempted": status.source.attempted, "applied": status.source.applied},
        "conditions": [
            {"type": one.type, "status": one.status, "reason": one.reason, "message": one.message}
            for one in status.conditions
        ],
        "windows": [
            {"policy": policy, "window": window, "nextEdge": edge, "next": then}
            for policy, window, edge, then in status.windows
        ],
        "hosts": [_host_row(host) for host in status.hosts],
        "workloads": [_workload_row(workload) for workload in status.workloads],
        "unplaced": [unplaced_document(one) for one in status.unplaced],
        "survives": None
        if status.survival is None
        else {"loss": status.survival.loss, "shortfalls": list(status.survival.shortfalls)},
        "edges": [edge_document(one) for one in status.edges],
        "problems": [
            {
                "path": one.path,
                "line": one.line,
                "column": one.column,
                "message": one.message,
                "severity": one.severity,
            }
            for one in status.source.problems
        ],
    }


def edge_document(line: EdgeLine) -> dict[str, Any]:
    """How one workload met an edge, or is about to. `offset` in seconds, negative before the edge."""
    one = line.record
    return {
        "at": line.at.isoformat(),
        "policy": one.policy,
        "window": one.window,
        "workload": str(one.workload),
        "wanted": one.wanted,
        "ready": one.ready,
        "begun": None if one.begun is None else one.begun.astimezone(line.at.tzinfo).isoformat(),
        "offset": one.offset,
        "afterRoom": one.after_room,
        "late": line.late,
        "text": line.text,
    }


def host_document(host: HostStatus) -> dict[str, Any]:
    """`hosts/NAME.json`: the row of the host, and everything of ours that it runs."""
    engine = host.view.engine
    return {
        "apiVersion": API_VERSION,
        "kind": "HostStatus",
        **_host_row(host),
        "endpoint": host.endpoint,
        "address": host.address,
        "cordoned": host.cordon,
        "departing": host.departing,
        "drain": host.drain,
        "engine": None
        if engine is None
        else {
            "id": engine.id,
            "apiVersion": engine.api_version,
            "version": engine.version,
            "cpu": engine.cpu,
            "memory": engine.memory,
        },
        "foreign": [{"name": one.name, "reason": one.reason} for one in host.view.foreign],
        "instances": [
            _instance(one, one.id in host.view.stopping)
            for one in sorted(host.view.all_containers, key=lambda one: (one.workload, one.slot, one.name))
        ],
    }


def workload_document(workload: WorkloadStatus, status: FleetStatus) -> dict[str, Any]:
    """`workloads/NAMESPACE/NAME.json`: where it runs, what is to change, and why not all is placed."""
    name = (workload.namespace, workload.name)
    return {
        "apiVersion": API_VERSION,
        **_workload_row(workload),
        "rule": workload.rule,
        "spec": workload.spec,
        "image": workload.image,
        "rollout": None if workload.rollout is None else _rollout(workload.rollout),
        "log": list(workload.last_words),
        "changes": [change_document(one) for one in workload.changes],
        "unplaced": [unplaced_document(one) for one in status.unplaced if one.workload == name],
        "instances": [
            {
                "host": host.view.name,
                "slot": one.slot,
                "name": one.name,
                "state": one.state,
                "health": one.health,
            }
            for host in status.hosts
            for one in host.view.all_containers
            if one.workload == name
        ],
    }


def _rollout(one: RolloutStatus) -> dict[str, Any]:
    return {
        "phase": one.phase,
        "spec": one.spec,
        "revision": one.revision,
        "updated": one.updated,
        "message": one.message,
    }


def change_document(change: Change) -> dict[str, Any]:
    """A change as plans and the status branch show it; `host` is where to, `from` where it is."""
    return {
        "change": change.kind,
        "workload": str(change.workload),
        "slot": change.slot,
        "host": change.host,
        "from": change.source,
        "cause": change.cause,
        "waits": change.waits,
        "waitReason": change.wait.reason if change.wait is not None else "",
    }


def unplaced_document(one: Unplaced) -> dict[str, Any]:
    """How many of which workload have no place, and why."""
    return {
        "workload": str(one.workload),
        "count": one.count,
        "reasons": reasons_document(one.refusals),
    }


def reasons_document(refusals: Iterable[Refusal]) -> list[dict[str, Any]]:
    """Hosts that refuse for the same reason share a row; one without hosts holds for the whole fleet."""
    return [{"filter": one.filter, "hosts": list(one.hosts), "detail": one.detail} for one in refusals]


def survives_document(headroom: Headroom | None) -> dict[str, Any] | None:
    """Whether a loss is survived, what would have no place, and what stays down with its volume; null where
    nobody asked, or there is no host to lose."""
    if headroom is None or not headroom.losses:
        return None
    return {
        "loss": headroom.loss,
        "checked": headroom.checked,
        "losses": headroom.losses,
        "shortfalls": [
            {
                "lost": one.lost,
                "alike": list(one.alike),
                "workload": str(one.workload),
                "count": one.count,
                "reasons": reasons_document(one.refusals),
            }
            for one in headroom.shortfalls
        ],
        "pinned": [
            {
                "lost": one.lost,
                "workload": str(one.workload),
                "count": one.count,
                "slots": list(one.slots),
            }
            for one in headroom.pinned
        ],
    }


def _host_row(host: HostStatus) -> dict[str, Any]:
    return {
        "name": host.view.name,
        "state": host.state,
        "detail": host.detail,
        "capacity": format_resources(host.capacity) if host.capacity is not None else None,
        "reserved": format_resources(host.reserved),
        "requested": format_resources(host.requested),
        "instances": len(host.view.all_containers),
    }


def _workload_row(workload: WorkloadStatus) -> dict[str, Any]:
    return {
        "kind": workload.kind,
        "namespace": workload.namespace,
        "name": workload.name,
        "desired": workload.desired,
        "running": workload.running,
        "ready": workload.ready,
        "health": workload.health,
        "revision": workload.revision,
        "reason": workload.reason,
    }


def _instance(one: ObservedContainer, stopping: bool) -> dict[str, Any]:
    return {
        "workload": str(one.workload),
        "kind": one.kind,
        "slot": one.slot,
        "spec": one.spec,
        "revision": one.revision,
        "state": "stopping" if stopping else one.state,
        "health": one.health,
        "ready": one.ready,
        "ports": [
            {"target": port.target, "published": port.published, "protocol": port.protocol}
            for port in one.ports
        ],
        "id": one.id,
        "name": one.name,
        "requests": dict(one.requests.items()),
        "stop": {"signal": one.signal, "grace": one.grace},
        "dependsOn": [str(needed) for needed in one.depends_on],
    }
