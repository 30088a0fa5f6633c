"""The room on each host while a decision is made: what is free now, and after what leaves has left."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rota.core.model import Fleet, Host, Resources, WorkloadId
from rota.core.observed import HostState, HostView, ObservedContainer, ObservedState

ASSIGNED_PORTS = range(20000, 32000)


@dataclass(slots=True)
class Room:
    """One host's accounting, changed as instances are placed. Never leaves the decision.

    `free_now` counts everything that is there, stopping instances included; `free_after` is what is
    left once everything that this decision releases is gone. `slots` are the slots per workload.
    """

    host: Host
    view: HostView
    cordon: str
    free_now: Resources
    free_after: Resources
    capacity: Resources
    slots: dict[WorkloadId, set[int]] = field(default_factory=lambda: defaultdict(set))
    ports_now: set[tuple[int, str]] = field(default_factory=set)
    ports_after: set[tuple[int, str]] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def load(self) -> float:
        """The fuller of cpu and memory, 0 empty to 1 full, as it will be."""
        return max(
            1 - self.free_after.cpu / max(self.capacity.cpu, 1),
            1 - self.free_after.memory / max(self.capacity.memory, 1),
        )

    def occupy(self, workload: WorkloadId, slot: int, requests: Resources) -> None:
        self.free_now -= requests
        self.free_after -= requests
        self.slots[workload].add(slot)

    def take_port(self, seed: str) -> int | None:
        """A free port of the assigned range, looked for from a place that depends on `seed` only."""
        start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4]) % len(ASSIGNED_PORTS)
        taken = {port for port, _protocol in self.ports_now | self.ports_after}
        for offset in range(len(ASSIGNED_PORTS)):
            port = ASSIGNED_PORTS[(start + offset) % len(ASSIGNED_PORTS)]
            if port not in taken:
                self.ports_now.add((port, "tcp"))
                self.ports_after.add((port, "tcp"))
                return port
        return None


def capacity_of(host: Host, view: HostView) -> Resources | None:
    """What Rota may use of a host; None where neither the manifest nor the Engine says.

    Cpu as declared, memory the smaller of declared and reported; minus what is reserved.
    """
    reported = view.engine
    cpu = host.cpu if host.cpu is not None else (reported.cpu if reported else None)
    memories = [
        amount for amount in (host.memory, reported.memory if reported else None) if amount is not None
    ]
    if cpu is None or not memories:
        return None
    return Resources(cpu=cpu, memory=min(memories)) - host.reserved


def rooms(
    fleet: Fleet,
    observed: ObservedState,
    cordons: Mapping[str, str],
    releasing: Iterable[ObservedContainer],
) -> dict[str, Room]:
    """The room of every host of the fleet, by name. Hosts of unknown capacity have none."""
    leaving = {(container.host, container.id) for container in releasing}
    result = {}
    for name in sorted(fleet.hosts):
        host = fleet.hosts[name]
        view = observed.hosts.get(name) or HostView(name=name, state=HostState.UNKNOWN)
        capacity = capacity_of(host, view) or Resources()
        room = Room(
            host=host,
            view=view,
            cordon=cordons.get(name, ""),
            free_now=capacity,
            free_after=capacity,
            capacity=capacity,
        )
        for container in view.all_containers:
            gone_after = (name, container.id) in leaving or container.id in view.stopping
            _account(room, container, gone_after)
        result[name] = room
    return result


def _account(room: Room, container: ObservedContainer, gone_after: bool) -> None:
    ports = {(port.published, port.protocol) for port in container.ports}
    room.free_now -= container.requests
    room.ports_now |= ports
    if not gone_after:
        room.free_after -= container.requests
        room.ports_after |= ports
        room.slots[container.workload].add(container.slot)
