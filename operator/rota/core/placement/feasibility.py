"""Admit and keep filters. Each is a small function that returns None or a reason with numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rota.core.ledger import Ledger
from rota.core.model import Host, Service
from rota.core.observed import HostState, Now
from rota.core.placement.room import Room


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a host was refused: the filter's name and the reason in words."""

    filter: str
    host: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One instance that needs a host. `pinned_to` is the host that holds its volumes, if any."""

    service: Service
    slot: int
    pinned_to: str | None = None


Filter = Callable[[Request, Room, Ledger, Now], str | None]


def _state(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    if room.view.state is HostState.REACHABLE:
        return None
    return f"{room.view.state}{': ' + room.view.detail if room.view.detail else ''}"


def _schedulable(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    return room.cordon or None


def _capacity(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    if room.capacity.cpu > 0 and room.capacity.memory > 0:
        return None
    return "capacity unknown: the Engine was not seen yet and the Host declares none"


def _taints(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    tolerations = request.service.placement.tolerations
    for taint in room.host.taints:
        if not any(toleration.accepts(taint) for toleration in tolerations):
            return f"taint {taint.key}{'=' + taint.value if taint.value else ''} is not tolerated"
    return None


def _selector(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    return selector_mismatch(request.service, room.host)


def _volumes(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    if request.pinned_to in (None, room.name):
        return None
    return f"its volumes are on {request.pinned_to}"


def _max_per_host(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    limit = request.service.placement.max_per_host
    others = room.slots[request.service.id] - {request.slot}
    if limit is None or len(others) < limit:
        return None
    return f"already has {len(others)}, maxPerHost is {limit}"


def _back_off(request: Request, room: Room, ledger: Ledger, now: Now) -> str | None:
    service = request.service
    failure = ledger.failures.get((service.id, room.name, service.spec_hash))
    if failure is None or failure.until <= now.mono:
        return None
    return f"backing off after {failure.count} failed start{'s'[: failure.count > 1]}: {failure.message}"


ADMIT: tuple[tuple[str, Filter], ...] = (
    ("state", _state),
    ("unschedulable", _schedulable),
    ("capacity", _capacity),
    ("taint", _taints),
    ("hostSelector", _selector),
    ("volume", _volumes),
    ("maxPerHost", _max_per_host),
    ("backOff", _back_off),
)
"""Who may be placed anew, in the order in which a person would want to hear of it."""


def refusal(request: Request, room: Room, ledger: Ledger, now: Now, *, after: bool) -> Refusal | None:
    """The first filter that refuses `room`, or None. `after` judges the room once leavers are gone."""
    for name, admits in ADMIT:
        detail = admits(request, room, ledger, now)
        if detail is not None:
            return Refusal(name, room.name, detail)
    return _ports(request, room, after) or _resources(request, room, after)


def _ports(request: Request, room: Room, after: bool) -> Refusal | None:
    taken = room.ports_after if after else room.ports_now | room.ports_after
    for port, protocol in request.service.container.fixed_ports:
        if (port, protocol) in taken:
            return Refusal("port", room.name, f"port {port}/{protocol} is taken")
    return None


def _resources(request: Request, room: Room, after: bool) -> Refusal | None:
    needs = request.service.requests
    cpu, memory = room.free_after.cpu, room.free_after.memory
    if not after:
        cpu, memory = min(cpu, room.free_now.cpu), min(memory, room.free_now.memory)
    short = []
    if needs.cpu > cpu:
        short.append(f"cpu short by {needs.cpu - max(cpu, 0)}m")
    if needs.memory > memory:
        short.append(f"memory short by {mebibytes(needs.memory - max(memory, 0))}")
    if not short:
        return None
    return Refusal("cpu" if needs.cpu > cpu else "memory", room.name, ", ".join(short))


def mebibytes(amount: int) -> str:
    """Bytes in the largest binary unit that loses nothing worth reading."""
    if amount % (1 << 30) == 0:
        return f"{amount >> 30}Gi"
    return f"{-(-amount // (1 << 20))}Mi"


def selector_mismatch(service: Service, host: Host) -> str | None:
    for requirement in service.placement.host_selector:
        if not requirement.met_by(host.labels):
            return f"label {requirement} is not met"
    return None


def must_move(service: Service, host: Host | None, pinned_to: str | None) -> str | None:
    """The keep filters: the only reasons for which a running instance is moved; None to stay.

    What has its volumes on a host that left the fleet stays there: elsewhere it would lack its data.
    """
    if host is None:
        return "its host left the fleet" if pinned_to is None else None
    if pinned_to not in (None, host.name):
        return f"its volumes are on {pinned_to}"
    return selector_mismatch(service, host)


def in_words(refusals: Iterable[Refusal]) -> str:
    """Every host's answer, hosts that say the same joined. Never cut."""
    hosts: dict[str, list[str]] = defaultdict(list)
    for refusal in refusals:
        hosts[refusal.detail].append(refusal.host)
    return "; ".join(f"{', '.join(names)}: {detail}" for detail, names in hosts.items()) or "there is no host"
