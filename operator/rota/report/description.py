"""One host, one workload, or the fleet in full: gathered from the files of the status branch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rota.core.model import Service
from rota.core.quantities import format_resources
from rota.report.documents import API_VERSION, LEDGER_PATH

Files = Mapping[str, bytes]
Rows = Sequence[Mapping[str, Any]]


def describe_fleet(files: Files, events: Rows) -> dict[str, Any]:
    """The verdict, what holds for all, and what needs somebody's eye."""
    status = json.loads(files["status.json"])
    return {
        **_head("Fleet", events),
        "health": status["health"],
        "conditions": status["conditions"],
        "source": status["source"],
        "windows": status["windows"],
        "problems": status["problems"],
        "hosts": [one for one in status["hosts"] if one["state"] != "reachable" or one["detail"]],
        "workloads": [one for one in status["workloads"] if one["health"] != "Healthy"],
    }


def describe_host(files: Files, name: str, events: Rows) -> dict[str, Any]:
    """A host with everything that runs there, and why nothing new comes, where that is so."""
    path = f"hosts/{name}.json"
    row = next(one for one in json.loads(files["status.json"])["hosts"] if one["name"] == name)
    host = json.loads(files[path]) if path in files else {}
    return {
        **_head(f"Host {name}", events),
        "conditions": _conditions(files, name),
        "state": row["state"],
        "detail": row["detail"],
        "endpoint": host.get("endpoint", ""),
        "cordoned": host.get("cordoned", ""),
        "departing": host.get("departing", False),
        "drain": host.get("drain", ""),
        "engine": host.get("engine"),
        "capacity": row["capacity"],
        "reserved": row["reserved"],
        "requested": row["requested"],
        "foreign": host.get("foreign", []),
        "instances": [{"host": name, **one} for one in host.get("instances", ())],
    }


def describe_workload(files: Files, name: str, stated: Service | None, events: Rows) -> dict[str, Any]:
    """A workload: how many are wanted by which rule, where they are, what is to change, what that waits for.

    `stated` is what the manifests say of it, None where they are not readable.
    """
    path = f"workloads/{name}.json"
    status = json.loads(files["status.json"])
    row = next(one for one in status["workloads"] if f"{one['namespace']}/{one['name']}" == name)
    silent = {one["name"]: one["state"] for one in status["hosts"] if one["state"] != "reachable"}
    detail = json.loads(files[path]) if path in files else row
    instances = [
        {**one, "seenLast": silent.get(one["host"], "")}
        for one in _instances(files)
        if one["workload"] == name
    ]
    return {
        **_head(f"{row['kind']} {name}", events),
        "conditions": _conditions(files, name),
        **{key: row[key] for key in ("desired", "running", "ready", "health", "reason", "revision")},
        "rule": detail.get("rule", ""),
        "specHash": detail.get("spec", ""),
        "image": detail.get("image", ""),
        "spec": None if stated is None else essentials(stated),
        "rollout": detail.get("rollout"),
        "failed": _failed(files, name),
        "log": detail.get("log", []),
        "instances": sorted(instances, key=lambda one: (one["slot"], one["host"], one["name"])),
        "changes": detail.get("changes", []),
        "unplaced": detail.get("unplaced", []),
    }


def essentials(service: Service) -> dict[str, Any]:
    """What of a manifest explains how a workload behaves; no environment, where secrets may stand."""
    update = service.update
    return {
        "image": service.container.image,
        "replicas": service.replicas,
        "priority": service.priority,
        "requests": format_resources(service.requests),
        "update": f"{update.order}, maxSurge {update.max_surge}, on failure {update.on_failure}",
        "disruption": f"maxUnavailable {service.max_unavailable}",
        "singleton": str(service.singleton),
        "dependsOn": [str(one) for one in service.depends_on],
        "healthChecked": service.check is not None
        or (service.container.healthcheck is not None and not service.container.healthcheck.disabled),
    }


def _head(of: str, events: Rows) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": "Description", "object": of, "events": list(events)}


def _conditions(files: Files, name: str) -> list[Any]:
    """The conditions of the fleet that speak of `name`."""
    found = json.loads(files["status.json"])["conditions"]
    return [one for one in found if one["status"] == "True" and name in one["message"]]


def _instances(files: Files) -> Iterator[dict[str, Any]]:
    for path, content in sorted(files.items()):
        if path.startswith("hosts/") and path.endswith(".json"):
            host = json.loads(content)
            yield from ({"host": host["name"], **one} for one in host["instances"])


def _failed(files: Files, name: str) -> dict[str, Any] | None:
    """The spec that it could not be brought to, as the ledger has it."""
    if LEDGER_PATH not in files:
        return None
    failed = json.loads(files[LEDGER_PATH]).get("failed", [])
    return next((one for one in failed if one.get("workload") == name), None)
