"""The status branch read back as an observation: what an offline plan stands on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import (
    ContainerState,
    EngineFacts,
    Health,
    HostState,
    HostView,
    ObservedContainer,
    ObservedState,
    PublishedPort,
)
from rota.core.resources import Resources, extended_of
from rota.errors import Stalled
from rota.report.documents import LEDGER_PATH
from rota.report.state import read_ledger
from rota.report.text import one_line, what_is_wrong

DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a file raises that is not what Rota wrote."""
_OLDER = {"unreachable": HostState.LOST}
"""Words that an older Rota wrote."""
LONG_AGO = float("-inf")
"""Ages are not kept: what was ready counts as ready for long enough."""


def restore(files: Mapping[str, bytes]) -> tuple[ObservedState, Ledger]:
    """What the files of a status branch say was observed, and the ledger."""
    ledger = read_ledger(files[LEDGER_PATH]) if LEDGER_PATH in files else Ledger()
    hosts = {}
    for path, content in sorted(files.items()):
        if path.startswith("hosts/") and path.endswith(".json"):
            try:
                view = _host(json.loads(content))
            except DAMAGE as error:
                raise damaged(path, error) from error
            hosts[view.name] = view
    return ObservedState(hosts=hosts), ledger


def damaged(path: str, error: Exception) -> Stalled:
    """The error for a file of the status branch that cannot be read."""
    return Stalled(
        "DamagedStatus",
        f"{one_line(path)} on the status branch cannot be read: {what_is_wrong(error)}. "
        "Restore the file from the branch's history.",
    )


def declared(fleet: Fleet) -> ObservedState:
    """Without a status branch: the hosts that the manifests declare, with nothing running."""
    return ObservedState(
        hosts={name: HostView(name=name, state=HostState.REACHABLE) for name in sorted(fleet.hosts)}
    )


def _host(row: Mapping[str, Any]) -> HostView:
    name = _text(row["name"])
    containers = tuple(_container(one, name) for one in row["instances"])
    return HostView(
        name=name,
        state=_OLDER.get(row["state"]) or HostState(row["state"]),
        detail=_text(row["detail"]),
        engine=None if row["engine"] is None else _engine(row["engine"]),
        containers=containers,
        stopping=frozenset(_text(one["id"]) for one in row["instances"] if one["state"] == "stopping"),
    )


def _engine(row: Mapping[str, Any]) -> EngineFacts:
    return EngineFacts(
        id=_text(row["id"]),
        api_version=_text(row["apiVersion"]),
        version=_text(row["version"]),
        cpu=_whole(row["cpu"]),
        memory=_whole(row["memory"]),
    )


def _container(row: Mapping[str, Any], host: str) -> ObservedContainer:
    state = ContainerState.RUNNING if row["state"] == "stopping" else ContainerState(row["state"])
    return ObservedContainer(
        id=_text(row["id"]),
        name=_text(row["name"]),
        host=host,
        workload=WorkloadId.parse(_text(row["workload"])),
        kind=_text(row["kind"]),
        slot=_whole(row["slot"]),
        spec=_text(row["spec"]),
        revision=_text(row["revision"]),
        state=state,
        health=Health(row["health"]),
        requests=_requests(row["requests"]),
        grace=float(row["stop"]["grace"]),
        signal=_text(row["stop"]["signal"]),
        depends_on=tuple(WorkloadId.parse(_text(one)) for one in row.get("dependsOn", ())),
        ports=tuple(_port(one) for one in row["ports"]),
        seen_since=0.0,
        ready_since=LONG_AGO if row["ready"] else None,
    )


def _requests(row: Mapping[str, Any]) -> Resources:
    amounts = {_text(name): _whole(amount) for name, amount in row.items()}
    return Resources(cpu=amounts.pop("cpu"), memory=amounts.pop("memory"), extended=extended_of(amounts))


def _port(row: Mapping[str, Any]) -> PublishedPort:
    return PublishedPort(_whole(row["target"]), _whole(row["published"]), _text(row["protocol"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value
