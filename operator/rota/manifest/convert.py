"""Documents that have passed their schema to the types of `rota.core.model`, one document at a time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final

from rota.core.model import CapacityPolicy, Fleet, Host, Loss, Override, Quota, Service
from rota.core.resources import extended_of
from rota.core.rules import Effect, Taint
from rota.manifest.capacity import capacity_policy, override
from rota.manifest.drain import drain
from rota.manifest.failure import failure_settings
from rota.manifest.problem import Pointer
from rota.manifest.quantity import amount
from rota.manifest.quota import quota
from rota.manifest.reader import Reader, extended_names
from rota.manifest.workload import service

Definition = Fleet | Host | Service | CapacityPolicy | Quota | Override

_ENDPOINT: Final[Pointer] = ("spec", "endpoint")
_UNIX: Final = re.compile("unix://(/[A-Za-z0-9._/-]*[A-Za-z0-9._-])")
_TCP: Final = re.compile(
    r"tcp://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})/?"
)
_LOCAL: Final = "127.0.0.1"


def convert(reader: Reader) -> Definition | None:
    """What a document defines; None where it cannot be, with the problems in the reader."""
    definition: Definition
    match reader.kind:
        case "Fleet":
            definition = _fleet(reader)
        case "Host":
            definition = _host(reader)
        case "Service":
            definition = service(reader)
        case "CapacityPolicy":
            return capacity_policy(reader)
        case "Quota":
            definition = quota(reader)
        case _:
            return override(reader)
    return definition if not reader.problems else None


def _fleet(reader: Reader) -> Fleet:
    """The Fleet without what other documents add to it."""
    default = Fleet(name="", uid="")
    guard: Mapping[str, Any] = reader.spec.get("guard", {})
    disruption: Mapping[str, Any] = reader.spec.get("disruption", {})
    reader.labels()
    return Fleet(
        name=reader.name,
        uid=reader.metadata["uid"],
        failure=failure_settings(reader),
        max_removals=amount(guard["maxRemovals"]) if "maxRemovals" in guard else default.max_removals,
        max_moves_per_hour=disruption.get("maxMovesPerHour", default.max_moves_per_hour),
        survive=_survive(reader),
    )


def _survive(reader: Reader) -> Loss | None:
    """What the fleet is to survive, where it is stated."""
    if "survive" not in reader.spec:
        return None
    given = [loss for loss in Loss if loss in reader.spec["survive"]]
    if len(given) != 1:
        message = f"states {'both' if given else 'neither'} hosts {'and' if given else 'nor'} zones"
        reader.report(("spec", "survive"), message, "Write {hosts: 1} or {zones: 1}.")
        return None
    return given[0]


def _host(reader: Reader) -> Host:
    spec = reader.spec
    capacity = reader.amounts(("spec", "capacity"), spec.get("capacity", {}), positive=True)
    reserved = reader.amounts(("spec", "reserved"), spec.get("reserved", {}), positive=False).resources()
    for key, whole, kept in (
        ("cpu", capacity.cpu, reserved.cpu),
        ("memory", capacity.memory, reserved.memory),
    ):
        if whole and kept >= whole:
            reader.report(("spec", "reserved", key), "reserves the whole capacity: nothing could run here")
    return Host(
        name=reader.name,
        endpoint=spec["endpoint"],
        address=_address(reader, _endpoint_host(reader, spec["endpoint"])),
        labels=reader.labels(),
        tls=_tls(reader),
        cpu=capacity.cpu,
        memory=capacity.memory,
        resources=_extended(spec.get("resources", {})),
        reserved=reserved,
        taints=tuple(_taint(item) for item in spec.get("taints", ())),
        unschedulable=spec.get("unschedulable", False),
        drain=drain(reader),
        cost_per_hour=spec.get("cost", {}).get("perHour", 0.0),
        source=reader.source(),
    )


def _extended(stated: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    return extended_of({name: stated[name] for name in extended_names(stated)})


def _taint(stated: Mapping[str, Any]) -> Taint:
    effect = Effect(stated.get("effect", Effect.NO_SCHEDULE))
    return Taint(key=stated["key"], value=stated.get("value", ""), effect=effect)


def _endpoint_host(reader: Reader, endpoint: str) -> str:
    """The host part of an endpoint; no message shows the endpoint, which may hold a password."""
    if _UNIX.fullmatch(endpoint):
        return _LOCAL
    found = _TCP.fullmatch(endpoint)
    if found and 0 < int(found[2]) <= 65535:
        return found[1].strip("[]")
    if endpoint.startswith("ssh://"):
        mend = "Use tcp://HOST:PORT, or unix:///PATH."
        reader.report(_ENDPOINT, "ssh:// is not supported yet", mend)
    elif "@" in endpoint:
        message = "an endpoint must not hold credentials"
        reader.report(_ENDPOINT, message, "Name a client certificate in tls instead.")
    else:
        reader.report(_ENDPOINT, "must be unix:///PATH or tcp://HOST:PORT")
    return _LOCAL


def _address(reader: Reader, default: str) -> str:
    address: str = reader.spec.get("address", default)
    if ":" in address and "address" in reader.spec:
        try:
            ip_address(address)
        except ValueError:
            reader.report(("spec", "address"), "must be a host name or an address without a port")
    return address


def _tls(reader: Reader) -> str | None:
    tls: str | None = reader.spec.get("tls")
    if tls is not None and not reader.spec["endpoint"].startswith("tcp://"):
        reader.report(("spec", "tls"), "tls fits an endpoint of tcp:// only")
    return tls
