"""Turns the steps of every workload into changes and actions, placing what is to be started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from rota.core.ledger import PinKey
from rota.core.model import Service, WorkloadId
from rota.core.observed import PublishedPort
from rota.core.placement.feasibility import Refusal, Request, in_words
from rota.core.placement.place import Demand, NoSeat, Seat, place
from rota.core.placement.room import Room
from rota.core.planning.actions import (
    Action,
    Change,
    ChangeKind,
    PrepareImage,
    RestartInstance,
    StartInstance,
    VolumeMount,
    container_name,
    stop_of,
    volume_name,
)
from rota.core.planning.rollout import Start, Steps
from rota.core.planning.roster import Scene


@dataclass(slots=True, kw_only=True)
class Composer:
    """Collects the outcome of a decision, workload by workload, in the order of precedence."""

    scene: Scene
    rooms: Mapping[str, Room]
    changes: list[Change] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    refused: dict[WorkloadId, list[tuple[Refusal, ...]]] = field(default_factory=lambda: defaultdict(list))
    pins: dict[PinKey, str] = field(default_factory=dict)

    def add_orphans(self, steps: Steps) -> None:
        self.changes += steps.changes
        self._stop(steps)

    def _stop(self, steps: Steps) -> None:
        self.actions += [stop_of(one.container, one.cause, sick=one.sick) for one in steps.stops]

    def add(self, service: Service, steps: Steps) -> None:
        """Everything that one workload's rollout asks for."""
        self.changes += steps.changes
        self._stop(steps)
        for container, cause in steps.restarts:
            self._restart(container.host, container.id, container.name, (container.slot, cause), service)
        for host, slot, cause in steps.image_first:
            self._prepare(host, slot, cause, service)
        for start in steps.starts:
            if start.waits and start.change is not ChangeKind.START:
                self._announce(service, start)
            else:
                self._start(service, start)

    def _restart(
        self, host: str, container_id: str, name: str, why: tuple[int, str], service: Service
    ) -> None:
        slot, cause = why
        self.changes.append(
            Change(
                kind=ChangeKind.START,
                workload=service.id,
                slot=slot,
                cause=cause,
                host=host,
                source=host,
            )
        )
        self.actions.append(
            RestartInstance(
                host=host,
                workload=service.id,
                slot=slot,
                container_id=container_id,
                name=name,
                spec=service.spec_hash,
                cause=cause,
            )
        )

    def _prepare(self, host: str, slot: int, cause: str, service: Service) -> None:
        failure = self.scene.ledger.failures.get((service.id, host, service.spec_hash))
        if failure is not None and failure.until > self.scene.now.mono:
            return
        action = PrepareImage(
            host=host,
            workload=service.id,
            slot=slot,
            image=service.container.image,
            pull_policy=service.container.pull_policy,
            spec=service.spec_hash,
            cause=cause,
        )
        if all(action.id != other.id for other in self.actions):
            self.actions.append(action)

    def _announce(self, service: Service, start: Start) -> None:
        """A replacement whose turn has not come: part of the plan, without a seat of its own yet."""
        self.changes.append(_change(service, start, start.prefer, start.waits))

    def _start(self, service: Service, start: Start) -> None:
        pin_key = (service.id, start.slot)
        pinned = service.container.pinned
        request = Request(
            service=service,
            slot=start.slot,
            pinned_to=self.scene.ledger.pins.get(pin_key) if pinned else None,
        )
        demand = Demand(request=request, prefer=self._queued_on(service, start.slot) or start.prefer)
        (seat,) = place([demand], self.rooms, self.scene.ledger, self.scene.now)
        if isinstance(seat, NoSeat):
            self._no_seat(service, start, seat)
            return
        if pinned:
            self.pins[pin_key] = seat.host
        waits = start.waits or self._waits(service, seat, pin_key)
        self.changes.append(_change(service, start, seat.host, waits))
        if not waits:
            self.actions.append(self._action(service, start, seat))

    def _no_seat(self, service: Service, start: Start, seat: NoSeat) -> None:
        """Nobody admits it. A successor that lacks nothing but room may have its predecessor's."""
        if start.change is ChangeKind.START:
            self.refused[service.id].append(seat.refusals)
            self.changes.append(_change(service, start, None, "no host admits it"))
            return
        at_home = [one for one in seat.refusals if one.host == start.source]
        cramped = any(one.filter in ("cpu", "memory") for one in at_home)
        if cramped and start.instead is not None and start.change is ChangeKind.REPLACE:
            self.actions.append(stop_of(start.instead, f"{start.cause}, and there is no room for a surge"))
            self.changes.append(_change(service, start, start.source, ""))
            return
        reason = "NoRoomForSurge: " if cramped else "no host admits its successor: "
        self.changes.append(_change(service, start, start.prefer, reason + in_words(seat.refusals)))

    def _queued_on(self, service: Service, slot: int) -> str | None:
        """The host whose worker has this very start in its queue: the decision of the pass before stands."""
        key = (service.id, slot, service.spec_hash)
        return next((name for name, view in self.scene.observed.hosts.items() if key in view.queued), None)

    def _waits(self, service: Service, seat: Seat, pin_key: PinKey) -> str:
        if seat.waits_for_room:
            return f"room on {seat.host} is being freed"
        recorded = self.scene.observed.recorded_pins
        if service.container.pinned and recorded is not None and pin_key not in recorded:
            return f"that its volumes belong to {seat.host} is being recorded on the status branch"
        return ""

    def _action(self, service: Service, start: Start, seat: Seat) -> StartInstance:
        fleet, room = self.scene.fleet, self.rooms[seat.host]
        view = room.view
        taken = {container.name for container in view.all_containers} | {one.name for one in view.foreign}
        attempt = 0
        while (name := self._name(service, start.slot, attempt)) in taken:
            attempt += 1
        return StartInstance(
            host=seat.host,
            workload=service.id,
            kind=service.kind,
            slot=start.slot,
            name=name,
            spec=service.spec_hash,
            container=service.container,
            requests=service.requests,
            ports=self._ports(service, room, name),
            volumes=tuple(
                VolumeMount(
                    name=volume_name(service.id, start.slot, mount.source),
                    target=mount.target,
                    read_only=mount.read_only,
                )
                for mount in service.container.volumes
                if mount.kind == "volume"
            ),
            fleet=fleet.name,
            fleet_uid=fleet.uid,
            revision=fleet.revision,
            cause=start.cause,
        )

    def _name(self, service: Service, slot: int, attempt: int) -> str:
        fleet = self.scene.fleet
        return container_name(fleet.name, service.id, slot, (fleet.uid, service.spec_hash, attempt))

    def _ports(self, service: Service, room: Room, name: str) -> tuple[PublishedPort, ...]:
        """Fixed ports as stated, the others from the assigned range; another one after each failure."""
        failure = self.scene.ledger.failures.get((service.id, room.name, service.spec_hash))
        tries = failure.count if failure is not None else 0
        ports = []
        for port in service.container.ports:
            published = port.published or room.take_port(f"{name}/{port.name}/{tries}")
            if published is not None:
                ports.append(PublishedPort(port.target, published, port.protocol))
        return tuple(ports)


def _change(service: Service, start: Start, host: str | None, waits: str) -> Change:
    kind = start.change
    if kind is ChangeKind.REPLACE and host is not None and host != start.source:
        kind = ChangeKind.MOVE
    return Change(
        kind=kind,
        workload=service.id,
        slot=start.slot,
        cause=start.cause,
        host=host,
        source=start.source,
        waits=waits,
    )
