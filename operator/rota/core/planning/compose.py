"""Turns the steps of every workload into changes and actions, placing what is to be started."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rota.core.ids import WorkloadId
from rota.core.ledger import Move, PinKey, SpecKey
from rota.core.model import Service, Singleton
from rota.core.observed import HostState, PublishedPort
from rota.core.placement.demand import Refusal
from rota.core.placement.refusals import in_words, is_room
from rota.core.planning.actions import (
    Action,
    Change,
    ChangeKind,
    PrepareImage,
    ResolveImage,
    RestartInstance,
    StartInstance,
    VolumeMount,
    container_name,
    stop_of,
    volume_name,
)
from rota.core.planning.arrangement import Arrangement, wants_seat
from rota.core.planning.ground import PortBook, view_of
from rota.core.planning.images import is_there, reference_of
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Seat, Shift
from rota.core.planning.steps import Start, Steps
from rota.core.planning.waits import AFTER_ROOM, ROOM, Wait, WaitReason


@dataclass(slots=True, kw_only=True)
class Composer:
    """Collects the outcome of a decision, workload by workload, in the order of precedence.

    `promises` are the hosts on which room is being freed for a slot, `started` the slots that get an instance
    now, `prepared` the ids of what was asked of images, `refused` what was said of every instance without a
    place. `crashed` are the specs of which something moves because it keeps dying, and why; `awaited` the
    (host, name) of containers that only wait for their image.
    """

    scene: Scene
    arrangement: Arrangement
    ports: PortBook
    changes: list[Change] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    refused: dict[WorkloadId, list[tuple[Refusal, ...]]] = field(default_factory=lambda: defaultdict(list))
    pins: dict[PinKey, str] = field(default_factory=dict)
    promises: dict[PinKey, str] = field(default_factory=dict)
    started: set[PinKey] = field(default_factory=set)
    crashed: dict[SpecKey, str] = field(default_factory=dict)
    awaited: set[tuple[str, str]] = field(default_factory=set)
    prepared: set[str] = field(default_factory=set)

    @property
    def roomless(self) -> frozenset[WorkloadId]:
        """The workloads of which something finds no room."""
        return frozenset(one.workload for one in self.changes if one.waits_for(*ROOM))

    def compose(self, shifts: Sequence[Shift], orphans: Steps) -> None:
        """Every workload in the order of `shifts`, then what the commit does not have."""
        fixed = {shift.id: shift.service.container.fixed_ports for shift in shifts}
        for kind, seats in self.arrangement.seats.items():
            for seat in seats if fixed[kind.workload] else ():
                self.ports.fixed(seat.host, fixed[kind.workload])
        self.promises.update(self.arrangement.holds)
        for shift in shifts:
            self.add(shift)
        self.add_orphans(orphans)

    def moves_begun(self) -> dict[PinKey, Move]:
        """The moves by choice whose successor starts now."""
        return {key: move for key, move in self.arrangement.moves.items() if key in self.started}

    def add_orphans(self, steps: Steps) -> None:
        self.changes += steps.changes
        self._stop(steps)

    def _stop(self, steps: Steps) -> None:
        for one in steps.stops:
            if one.crashed:
                self.crashed[one.container.workload, one.container.spec] = one.cause
        self.actions += [stop_of(one.container, one.cause, sick=one.sick) for one in steps.stops]

    def add(self, shift: Shift) -> None:
        """Everything that one workload's rollout asks for."""
        service, steps = shift.service, shift.steps
        self.changes += steps.changes
        self._stop(steps)
        for container, cause in steps.restarts:
            self._restart(container.host, container.id, container.name, (container.slot, cause), service)
        for host, slot, cause in steps.image_first:
            self._prepare(host, slot, cause, service)
        for start in steps.starts:
            if wants_seat(start):
                self._start(shift, start)
            else:
                self._announce(service, start)

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
                restarts=service.singleton is not Singleton.STRICT,
            )
        )

    def _prepare(self, host: str, slot: int, cause: str, service: Service) -> None:
        """Have the image of a service on a host; what it is has to be known before, and is asked of one
        host."""
        failure = self.scene.ledger.failures.get((service.id, host, service.spec_hash))
        if failure is not None and failure.until > self.scene.now.mono:
            return
        reference = reference_of(service, self.scene)
        action: PrepareImage | ResolveImage
        if reference is None:
            asked = f"{service.id} {service.spec_hash}"
            action = ResolveImage(
                host=host,
                workload=service.id,
                slot=slot,
                image=service.container.image,
                pull_policy=service.container.pull_policy,
                spec=service.spec_hash,
                cause=cause,
            )
        else:
            action = PrepareImage(
                host=host,
                workload=service.id,
                slot=slot,
                image=reference,
                stated=service.container.image,
                pull_policy=service.container.pull_policy,
                spec=service.spec_hash,
                cause=cause,
            )
            asked = action.id
        if asked not in self.prepared:
            self.prepared.add(asked)
            self.actions.append(action)

    def _announce(self, service: Service, start: Start) -> None:
        """A replacement whose turn has not come: part of the plan, without a seat of its own yet."""
        self.changes.append(_change(service, start, start.prefer, start.wait))

    def _start(self, shift: Shift, start: Start) -> None:
        service, kind = shift.service_of(start), shift.kind_of(start)
        key = (service.id, start.slot)
        seat = self.arrangement.take(kind, self.arrangement.wish(start, shift, self.scene))
        if seat is None:
            self._no_seat(service, start, self.arrangement.refusals.get(kind, ()))
            return
        if seat.waits_for_room and start.wait is None:
            self.promises[key] = seat.host
        wait = start.wait or self._waits(service, seat, key) or self._image_waits(service, seat, start)
        if service.container.pinned and wait is None:
            # Only now: where its image cannot be had, its data must not begin.
            self.pins[key] = seat.host
            wait = self._pin_waits(seat, key)
        self.changes.append(_change(service, start, seat.host, wait, ahead=shift.is_ahead(start)))
        if wait is None:
            self.actions.append(self._action(service, start, seat))
            self.started.add(key)
            if start.crashed:
                self.crashed[service.id, service.spec_hash] = start.cause

    def _no_seat(self, service: Service, start: Start, refusals: tuple[Refusal, ...]) -> None:
        """Nobody admits it. A successor that lacks nothing but room may have its predecessor's."""
        if start.ahead:
            why = f"ahead of its edge: {in_words(refusals)}"
            wait = Wait(WaitReason.AHEAD_OF_EDGE, why) if refusals else AFTER_ROOM
            self.changes.append(_change(service, start, None, wait, ahead=True))
            return
        if start.change is ChangeKind.START:
            self._look_for_image(service, start)
            self.refused[service.id].append(refusals)
            self.changes.append(_change(service, start, None, Wait(WaitReason.NO_SEAT, "no host admits it")))
            return
        cramped = any(start.source in one.hosts and is_room(one) for one in refusals)
        instead = cramped and start.instead is not None and start.change is ChangeKind.REPLACE
        if instead and start.source is not None and self._lacks_image(service, start.source):
            self._prepare(start.source, start.slot, start.cause, service)
            wait = Wait(WaitReason.IMAGE, f"image {service.container.image} is being prepared")
            self.changes.append(_change(service, start, start.source, wait))
            return
        if instead and start.instead is not None:
            self.actions.append(stop_of(start.instead, f"{start.cause}, and there is no room for a surge"))
            self.changes.append(_change(service, start, start.source, None))
            return
        why = in_words(refusals)
        if cramped:
            wait = Wait(WaitReason.NO_ROOM_FOR_SURGE, f"NoRoomForSurge: {why}")
        else:
            wait = Wait(WaitReason.NO_SEAT, f"no host admits its successor: {why}")
        self.changes.append(_change(service, start, start.prefer, wait))

    def _waits(self, service: Service, seat: Seat, pin_key: PinKey) -> Wait | None:
        if seat.waits_for_room:
            return Wait(WaitReason.ROOM_COMES, f"room on {seat.host} is being freed")
        if service.singleton is not Singleton.NONE and (begun := self._queued_elsewhere(pin_key, seat.host)):
            return Wait(WaitReason.PREDECESSOR, f"its start on {begun} is being withdrawn")
        return None

    def _pin_waits(self, seat: Seat, pin_key: PinKey) -> Wait | None:
        recorded = self.scene.observed.recorded_pins
        if recorded is None or pin_key in recorded:
            return None
        text = f"that its volumes belong to {seat.host} is being recorded on the status branch"
        return Wait(WaitReason.PIN, text)

    def _queued_elsewhere(self, key: PinKey, host: str) -> str | None:
        """Another host where a start of the slot was asked for and has not begun: both could begin at
        once."""
        for name, view in self.scene.observed.hosts.items():
            if name != host and any((workload, slot) == key for workload, slot, _ in view.queued):
                return name
        return None

    def _image_waits(self, service: Service, seat: Seat, start: Start) -> Wait | None:
        """A start whose image is not there yet: it is asked for, and the start can still be taken back."""
        if not self._lacks_image(service, seat.host):
            return None
        reference = reference_of(service, self.scene)
        self._prepare(seat.host, start.slot, start.cause, service)
        self.awaited.add((seat.host, self._free_name(service, start.slot, seat.host)))
        step = "resolved" if reference is None else "prepared"
        return Wait(WaitReason.IMAGE, f"image {service.container.image} is being {step}")

    def _lacks_image(self, service: Service, host: str) -> bool:
        reference = reference_of(service, self.scene)
        known = reference is not None and reference in view_of(host, self.scene.observed).images
        return self.scene.observed.resolves and not known

    def _look_for_image(self, service: Service, start: Start) -> None:
        """Nobody is asked to make room for what may not exist: without a seat, some host looks for its
        image."""
        if start.wait is not None or is_there(service, self.scene):
            return
        failures, now = self.scene.ledger.failures, self.scene.now.mono
        for name in sorted(self.scene.fleet.hosts):
            failed = failures.get((service.id, name, service.spec_hash))
            answers = view_of(name, self.scene.observed).state is HostState.REACHABLE
            if answers and (failed is None or failed.until <= now):
                self._prepare(name, start.slot, start.cause, service)
                return

    def _free_name(self, service: Service, slot: int, host: str) -> str:
        view = view_of(host, self.scene.observed)
        taken = {container.name for container in view.all_containers} | {one.name for one in view.foreign}
        attempt = 0
        while (name := self._name(service, slot, attempt)) in taken:
            attempt += 1
        return name

    def _action(self, service: Service, start: Start, seat: Seat) -> StartInstance:
        fleet = self.scene.fleet
        name = self._free_name(service, start.slot, seat.host)
        return StartInstance(
            host=seat.host,
            workload=service.id,
            kind=service.kind,
            slot=start.slot,
            name=name,
            spec=service.spec_hash,
            container=service.container,
            requests=service.requests,
            ports=self._ports(service, seat.host, name),
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
            image=self.scene.ledger.images.get((service.id, service.spec_hash), ""),
            restarts=service.singleton is not Singleton.STRICT,
            depends_on=service.depends_on,
            check=service.check,
        )

    def _name(self, service: Service, slot: int, attempt: int) -> str:
        fleet = self.scene.fleet
        return container_name(fleet.name, service.id, slot, (fleet.uid, service.spec_hash, attempt))

    def _ports(self, service: Service, host: str, name: str) -> tuple[PublishedPort, ...]:
        """Fixed ports as stated, the others from the assigned range; another one after each failure."""
        failure = self.scene.ledger.failures.get((service.id, host, service.spec_hash))
        tries = failure.count if failure is not None else 0
        ports = []
        for port in service.container.ports:
            published = port.published or self.ports.assign(host, f"{name}/{port.name}/{tries}")
            if published is not None:
                ports.append(PublishedPort(port.target, published, port.protocol))
        return tuple(ports)


def _change(
    service: Service, start: Start, host: str | None, wait: Wait | None, *, ahead: bool = False
) -> Change:
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
        wait=wait,
        ahead=ahead,
    )
