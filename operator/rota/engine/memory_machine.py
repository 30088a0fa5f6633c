"""The machine under an Engine in memory: its containers, what time brings, what people do by hand."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace

from rota.clock import Clock
from rota.core.observed import ContainerState, Health
from rota.engine.labels import FLEET
from rota.engine.memory_container import Behaviour, ImageTraits, MemoryContainer
from rota.engine.port import ContainerEvent, EngineError, ListedContainer, Trouble

RUNS = (ContainerState.RUNNING, ContainerState.PAUSED)
FIRST_RESTART_SECONDS = 0.1
"""Docker's own back-off: doubled with every restart, up to the longest, until a program lived long enough."""
LONGEST_RESTART_SECONDS = 60.0
LONG_LIFE_SECONDS = 10.0


class MemoryStream:
    """Events of one fleet on one engine. Ends with an `EngineError`: when closed, when the engine fails."""

    def __init__(self, machine: MemoryMachine, fleet: str) -> None:
        self._machine = machine
        self.fleet = fleet
        self.items: queue.SimpleQueue[ContainerEvent | EngineError] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[ContainerEvent]:
        while not isinstance(item := self._next(), EngineError):
            yield item
        raise item

    def _next(self) -> ContainerEvent | EngineError:
        """The next event; health changes and exits that are due by now are noticed here."""
        while True:
            try:
                return self.items.get(timeout=self._machine.seconds_to_change())
            except queue.Empty:
                self._machine.settle()

    def close(self) -> None:
        self._machine.forget(self)
        self.items.put(EngineError(Trouble.SILENT, "the event stream ended"))


class MemoryMachine:
    """Containers that live, die and are brought back by their policy. Time is the clock's; nothing waits."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.RLock()
        self._containers: dict[str, MemoryContainer] = {}
        self._streams: list[MemoryStream] = []
        self._withheld: list[tuple[MemoryStream, ContainerEvent]] | None = None
        self._count = 0
        self.traits: dict[str, ImageTraits] = {}
        self.behaviour: Behaviour = lambda image, _: self.traits.get(image, ImageTraits())
        self.changes = 0
        """Grows with every change of a container: as long as it does not, all of them are as they were."""

    # --- what happens to it

    def die(self, name: str, exit_code: int = 1, *, out_of_memory: bool = False) -> None:
        """Its program ends by itself: what has policy `always` runs again."""
        with self._lock:
            self._end(replace(self._named(name), ends_with=exit_code, ends_oom=out_of_memory))
            self.settle()

    def sicken(self, name: str, *, sick: bool = True) -> None:
        """Its health check fails from now on, or no more."""
        with self._lock:
            one = self._named(name)
            self._containers[one.id] = replace(one, sick=sick)
            self.changes += 1
            self.settle()

    def write(self, name: str, line: str) -> None:
        """Its program writes a line."""
        with self._lock:
            one = self._named(name)
            self._containers[one.id] = replace(one, log=(*one.log, line))

    def stop_by_hand(self, name: str) -> None:
        """`docker stop`: the restart policy does not bring it back."""
        with self._lock:
            one = self._named(name)
            if one.state in RUNS:
                self._tell("kill", one)
                self._exit(one, self._traits(one).exit_code)
                self._tell("stop", one)

    def remove_by_hand(self, name: str) -> None:
        """`docker rm -f`."""
        with self._lock:
            one = self._named(name)
            if one.state in RUNS:
                self._tell("kill", one)
                one = self._exit(one, 137)
            self._drop(one)

    def add_foreign(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """A container that somebody else made; its id."""
        with self._lock:
            one = MemoryContainer(
                id=self._new_id(name),
                name=name,
                labels=dict(labels or {}),
                image="foreign",
                state=ContainerState.RUNNING,
                created=self._created(),
            )
            self._containers[one.id] = one
            self._tell("create", one)
            self._tell("start", one)
            return one.id

    def all_containers(self) -> tuple[ListedContainer, ...]:
        """Everything there is, seen past every fault."""
        with self._lock:
            self.settle()
            return tuple(self._listed(one) for one in self._containers.values())

    # --- what time brings

    def seconds_to_change(self) -> float:
        """Until the next change that only time brings, a second where nothing is due."""
        at = self.changes_at
        return 1.0 if at is None else max(at - self._now(), 0.001)

    @property
    def changes_at(self) -> float | None:
        """When time alone brings the next change; None where nothing is due."""
        with self._lock:
            times = [
                at
                for one in self._containers.values()
                for at in (one.ends_at, one.restarts_at, self._healthy_at(one), self._answers_at(one))
            ]
            return min((at for at in times if at is not None), default=None)

    def settle(self) -> None:
        """Let what is due happen: exits, restarts, and the events of health changes."""
        with self._lock:
            for container_id in list(self._containers):
                self._settle(container_id)

    def forget(self, stream: MemoryStream) -> None:
        """Tell it nothing more."""
        with self._lock:
            self._streams = [other for other in self._streams if other is not stream]

    def _settle(self, container_id: str) -> None:
        now = self._now()
        one = self._containers[container_id]
        if one.restarts_at is not None and one.restarts_at <= now:
            one = self._run(one)
        if one.ends_at is not None and one.ends_at <= now and one.state in RUNS:
            one = self._end(one)
        health = self._health(one)
        if health in (Health.HEALTHY, Health.UNHEALTHY) and health != one.told:
            self._containers[one.id] = one = replace(one, told=health)
            self._tell(f"health_status: {health}", one)

    def _healthy_at(self, one: MemoryContainer) -> float | None:
        """When it will be told healthy for the first time."""
        if not one.checked or one.state is not ContainerState.RUNNING or one.told or one.sick:
            return None
        after = self._traits(one).healthy_after
        return None if after is None else one.started_at + after

    def _answers_at(self, one: MemoryContainer) -> float | None:
        """When its ports begin to answer, where that is ahead."""
        after = self._traits(one).answers_after
        at = one.started_at + after if after and one.state is ContainerState.RUNNING else 0.0
        return at if at > self._now() else None

    # --- inner workings

    def _end(self, one: MemoryContainer) -> MemoryContainer:
        """Its program ends with `ends_with`; what was not asked to end is brought back as its policy says."""
        if one.ends_oom:
            self._tell("oom", one)
        asked, lived = one.ends_asked, self._now() - one.started_at
        one = self._exit(one, 137 if one.ends_oom else one.ends_with)
        if asked or one.restart != "always":
            return one
        restarts = 0 if lived >= LONG_LIFE_SECONDS else one.restarts
        wait = min(FIRST_RESTART_SECONDS * 2.0 ** min(restarts, 16), LONGEST_RESTART_SECONDS)
        one = self._containers[one.id] = replace(
            one,
            state=ContainerState.RESTARTING,
            restarts=restarts + 1,
            restarts_at=self._now() + wait,
        )
        return one

    def _exit(self, one: MemoryContainer, code: int) -> MemoryContainer:
        one = self._containers[one.id] = replace(
            one,
            state=ContainerState.EXITED,
            exit_code=code,
            ends_at=None,
            ends_oom=False,
            ends_asked=False,
            restarts_at=None,
        )
        self._tell("die", one, code)
        return one

    def _run(self, one: MemoryContainer) -> MemoryContainer:
        traits, now = self._traits(one), self._now()
        one = self._containers[one.id] = replace(
            one,
            state=ContainerState.RUNNING,
            started_at=now,
            told="",
            exit_code=None,
            log=(*one.log, *traits.writes),
            ends_at=None if traits.lives is None else now + traits.lives,
            ends_with=traits.dies_with,
            ends_oom=traits.out_of_memory,
            ends_asked=False,
            restarts_at=None,
        )
        self._tell("start", one)
        return one

    def _drop(self, one: MemoryContainer) -> None:
        del self._containers[one.id]
        self._tell("destroy", one)

    def _new_id(self, name: str) -> str:
        self._count += 1
        return hashlib.sha256(f"{self._name}/{name}/{self._count}".encode()).hexdigest()

    def _get(self, container_id: str) -> MemoryContainer:
        if container_id not in self._containers:
            raise EngineError(Trouble.NOT_FOUND, f"no such container: {container_id[:12]}")
        return self._containers[container_id]

    def _named(self, name: str) -> MemoryContainer:
        return next(one for one in self._containers.values() if one.name == name)

    def _tell(self, action: str, one: MemoryContainer, exit_code: int | None = None) -> None:
        self.changes += 1
        event = ContainerEvent(action, one.id, exit_code)
        for stream in self._streams:
            if one.labels.get(FLEET) != stream.fleet:
                continue
            if self._withheld is None:
                stream.items.put(event)
            else:
                self._withheld.append((stream, event))

    def _traits(self, one: MemoryContainer) -> ImageTraits:
        return self.behaviour(one.image, one.id)

    def _now(self) -> float:
        return self._clock.now().mono

    def _created(self) -> int:
        return int(self._clock.now().wall.timestamp())

    def _listed(self, one: MemoryContainer) -> ListedContainer:
        return ListedContainer(
            id=one.id,
            name=one.name,
            labels=one.labels,
            state=one.state,
            health=self._health(one),
            ports=tuple(sorted(one.ports)) if one.state in RUNS else (),
            exit_code=one.exit_code if one.state is ContainerState.EXITED else None,
            created=one.created,
        )

    def _health(self, one: MemoryContainer) -> Health:
        after = self._traits(one).healthy_after
        if not one.checked or one.state not in RUNS:
            return Health.NONE
        if after is None or one.sick:
            return Health.UNHEALTHY
        return Health.HEALTHY if self._now() >= one.started_at + after else Health.STARTING
