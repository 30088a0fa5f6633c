"""An Engine in memory with the traits of a real one: for the demo without root, for tests, for simulations.

It refuses names that are taken, loses answers after the change took effect, leaves containers created
but not started, comes back from a crash as restart policies say, hangs, refuses, and takes time to be
healthy. Time is the clock's; nothing here waits.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rota.clock import Clock
from rota.core.observed import ContainerState, EngineFacts, Health
from rota.core.planning.actions import StartInstance
from rota.engine.labels import FLEET, labels_for
from rota.engine.memory_container import Behaviour, ImageTraits, MemoryContainer
from rota.engine.port import EngineError, ListedContainer, Trouble

__all__ = ["ImageTraits", "MemoryEngine", "MemoryStream"]
_RUNS = (ContainerState.RUNNING, ContainerState.PAUSED)


@dataclass(slots=True)
class _Faults:
    refusing: bool = False
    silent: bool = False
    lost_answers: int = 0
    calls: Counter[str] = field(default_factory=Counter)


class MemoryStream:
    """Events of one fleet on one engine. Ends with an `EngineError`: when closed, when the engine fails."""

    def __init__(self, engine: MemoryEngine, fleet: str) -> None:
        self._engine = engine
        self.fleet = fleet
        self.items: queue.SimpleQueue[str | EngineError] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[str]:
        while not isinstance(item := self._next(), EngineError):
            yield item
        raise item

    def _next(self) -> str | EngineError:
        """The next event; health changes and exits that are due by now are noticed here."""
        while True:
            try:
                return self.items.get(timeout=self._engine.seconds_to_change())
            except queue.Empty:
                self._engine.settle()

    def close(self) -> None:
        self._engine.forget(self)
        self.items.put(EngineError(Trouble.SILENT, "the event stream ended"))


class MemoryEngine:
    """One engine and its containers. The first half is the port, the second what tests do to it."""

    def __init__(self, name: str, clock: Clock, *, cpu: int = 4000, memory: int = 8 << 30) -> None:
        self._name = name
        self._clock = clock
        self._facts = EngineFacts(f"memory-{name}", "1.41", "memory", cpu, memory)
        self._lock = threading.RLock()
        self._containers: dict[str, MemoryContainer] = {}
        self._streams: list[MemoryStream] = []
        self._faults = _Faults()
        self._count = 0
        self.volumes: dict[str, Mapping[str, str]] = {}
        self.images: set[str] = set()
        self.unpullable: set[str] = set()
        self.traits: dict[str, ImageTraits] = {}
        self.behaviour: Behaviour = lambda image, _: self.traits.get(image, ImageTraits())
        self.changes = 0
        """Grows with every change of a container: as long as it does not, all of them are as they were."""

    # --- the port

    def facts(self) -> EngineFacts:
        self._answer("facts")
        return self._facts

    def ping(self) -> None:
        self._answer("ping")

    def containers(self, fleet: str) -> tuple[ListedContainer, ...]:
        self._answer("list")
        with self._lock:
            self.settle()
            return tuple(
                self._listed(one) for one in self._containers.values() if one.labels.get(FLEET) == fleet
            )

    def find(self, name: str) -> ListedContainer | None:
        self._answer("find")
        with self._lock:
            self.settle()
            return next((self._listed(one) for one in self._containers.values() if one.name == name), None)

    def has_image(self, image: str) -> bool:
        self._answer("image")
        return image in self.images

    def pull(self, image: str) -> None:
        self._answer("pull")
        if image in self.unpullable:
            raise EngineError(Trouble.REJECTED, f"pull of {image}: no such image in its registry")
        self.images.add(image)

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with self._change("volume"):
            self.volumes.setdefault(name, dict(labels))

    def create(self, action: StartInstance) -> str:
        with self._change("create"):
            if action.container.image not in self.images:
                raise EngineError(Trouble.NO_IMAGE, f"no such image: {action.container.image}")
            if any(one.name == action.name for one in self._containers.values()):
                raise EngineError(Trouble.NAME_TAKEN, f"the name {action.name} is in use")
            for volume in action.volumes:
                self.volumes.setdefault(volume.name, {})
            check = action.container.healthcheck
            one = MemoryContainer(
                id=self._new_id(action.name),
                name=action.name,
                labels=labels_for(action),
                image=action.container.image,
                ports=action.ports,
                checked=check is not None and not check.disabled,
                stop_signal=action.container.stop_signal,
            )
            self._put(one)
            return one.id

    def start(self, container_id: str) -> None:
        with self._change("start"):
            one = self._get(container_id)
            if one.state in _RUNS:
                return
            taken = {
                (port.published, port.protocol)
                for other in self._containers.values()
                if other.state in _RUNS
                for port in other.ports
            }
            for port in one.ports:
                if (port.published, port.protocol) in taken:
                    raise EngineError(Trouble.REJECTED, f"port {port.published} is already allocated")
            self._run(one)

    def forbid_restart(self, container_id: str) -> None:
        with self._change("update"):
            self._put(replace(self._get(container_id), restart="no"))

    def signal(self, container_id: str, signal: str) -> None:
        with self._change("signal"):
            one = self._get(container_id)
            if one.state not in _RUNS:
                raise EngineError(Trouble.REJECTED, f"container {one.name} is not running")
            if signal == "SIGKILL":
                self._put(replace(one, ends_at=self._now(), exit_code=137))
            elif signal == one.stop_signal and one.ends_at is None:
                traits = self._traits(one)
                self._put(replace(one, ends_at=self._now() + traits.stop_takes, exit_code=traits.exit_code))
            self.settle()

    def remove(self, container_id: str) -> None:
        with self._change("remove"):
            one = self._get(container_id)
            if one.state in _RUNS:
                raise EngineError(Trouble.REJECTED, f"container {one.name} is running")
            del self._containers[container_id]
            self._tell("destroy", one)

    def events(self, fleet: str) -> MemoryStream:
        self._answer("events")
        stream = MemoryStream(self, fleet)
        with self._lock:
            self._streams.append(stream)
        return stream

    def close(self) -> None:
        with self._lock:
            for stream in list(self._streams):
                stream.close()

    # --- what happens to it

    @property
    def writes(self) -> int:
        """How many changing calls have arrived; a second pass over an unchanged fleet adds none."""
        reads = ("facts", "ping", "list", "find", "image", "events")
        return sum(count for call, count in self._faults.calls.items() if call not in reads)

    @property
    def answers(self) -> bool:
        """Whether calls reach it and are answered."""
        return not self._faults.refusing and not self._faults.silent

    def refuse(self) -> None:
        """The Engine is down, its containers go on: connections are refused, the stream ends."""
        self._faults.refusing = True
        self.close()

    def hang(self) -> None:
        """The Engine accepts and never answers; every call ends at its deadline, here at once."""
        self._faults.silent = True

    def heal(self) -> None:
        self._faults.refusing = self._faults.silent = False
        self._faults.lost_answers = 0

    def lose_answers(self, count: int) -> None:
        """The next `count` changes take effect, and their answers are lost."""
        self._faults.lost_answers = count

    def crash_and_restart(self) -> None:
        """The Engine is killed and started: what has policy `always` runs again, the rest stays exited."""
        self.close()
        with self._lock:
            for one in list(self._containers.values()):
                if one.state in _RUNS:
                    self.die(one.name, 137)

    def die(self, name: str, exit_code: int = 1) -> None:
        """Its program ends by itself: what has policy `always` runs again."""
        with self._lock:
            one = self._named(name)
            if one.restart == "always":
                self._run(one)
            else:
                self._put(replace(one, state=ContainerState.EXITED, ends_at=None, exit_code=exit_code))

    def stop_by_hand(self, name: str) -> None:
        """`docker stop`: the restart policy does not bring it back."""
        with self._lock:
            one = self._named(name)
            code = self._traits(one).exit_code
            self._put(replace(one, state=ContainerState.EXITED, exit_code=code, ends_at=None))

    def remove_by_hand(self, name: str) -> None:
        """`docker rm -f`."""
        with self._lock:
            one = self._containers.pop(self._named(name).id)
            self._tell("destroy", one)

    def add_foreign(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """A container that somebody else made; its id."""
        with self._lock:
            one = MemoryContainer(
                id=self._new_id(name),
                name=name,
                labels=dict(labels or {}),
                image="foreign",
                state=ContainerState.RUNNING,
            )
            self._put(one)
            return one.id

    def all_containers(self) -> tuple[ListedContainer, ...]:
        """Everything there is, seen past every fault."""
        with self._lock:
            self.settle()
            return tuple(self._listed(one) for one in self._containers.values())

    # --- inner workings

    def seconds_to_change(self) -> float:
        """Until the next health change or exit that only time brings, a second where nothing is due."""
        at = self.changes_at
        return 1.0 if at is None else max(at - self._now(), 0.001)

    @property
    def changes_at(self) -> float | None:
        """When time alone brings the next health change or exit; None where nothing is due."""
        with self._lock:
            due = [one.ends_at for one in self._containers.values() if one.ends_at is not None]
            due += [one.started_at + after for one, after in self._unhealthy()]
            return min(due, default=None)

    def settle(self) -> None:
        """Let what is due happen: exits, and the events of health changes."""
        with self._lock:
            now = self._now()
            for one in list(self._containers.values()):
                if one.ends_at is not None and one.ends_at <= now and one.state in _RUNS:
                    self._put(replace(one, state=ContainerState.EXITED, ends_at=None))
            for one, after in self._unhealthy():
                if now >= one.started_at + after:
                    self._containers[one.id] = replace(one, told_healthy=True)
                    self._tell("health_status", one)

    def forget(self, stream: MemoryStream) -> None:
        """Tell it nothing more."""
        with self._lock:
            self._streams = [other for other in self._streams if other is not stream]

    def _unhealthy(self) -> list[tuple[MemoryContainer, float]]:
        """What will be healthy and was not told to be, and after how long."""
        return [
            (one, after)
            for one in self._containers.values()
            if one.checked and one.state is ContainerState.RUNNING and not one.told_healthy
            if (after := self._traits(one).healthy_after) is not None
        ]

    def _answer(self, call: str, silence: Trouble = Trouble.SILENT) -> None:
        with self._lock:
            self._faults.calls[call] += 1
        if self._faults.refusing:
            raise EngineError(Trouble.REFUSED, "connection refused: is the Engine running?")
        if self._faults.silent:
            raise EngineError(silence, "no answer within the deadline")

    @contextmanager
    def _change(self, call: str) -> Iterator[None]:
        """A changing call: under the lock, and with its answer lost afterwards where a fault says so."""
        self._answer(call, Trouble.LOST)
        with self._lock:
            yield
        if self._faults.lost_answers > 0:
            self._faults.lost_answers -= 1
            raise EngineError(Trouble.LOST, f"the answer to {call} was lost")

    def _new_id(self, name: str) -> str:
        self._count += 1
        return hashlib.sha256(f"{self._name}/{name}/{self._count}".encode()).hexdigest()

    def _put(self, one: MemoryContainer) -> None:
        self._containers[one.id] = one
        self._tell(one.state, one)

    def _run(self, one: MemoryContainer) -> None:
        self._put(
            replace(
                one,
                state=ContainerState.RUNNING,
                started_at=self._now(),
                told_healthy=False,
                ends_at=None,
                exit_code=None,
            )
        )

    def _get(self, container_id: str) -> MemoryContainer:
        if container_id not in self._containers:
            raise EngineError(Trouble.NOT_FOUND, f"no such container: {container_id[:12]}")
        return self._containers[container_id]

    def _named(self, name: str) -> MemoryContainer:
        return next(one for one in self._containers.values() if one.name == name)

    def _tell(self, event: str, one: MemoryContainer) -> None:
        self.changes += 1
        for stream in self._streams:
            if one.labels.get(FLEET) == stream.fleet:
                stream.items.put(event)

    def _traits(self, one: MemoryContainer) -> ImageTraits:
        return self.behaviour(one.image, one.id)

    def _now(self) -> float:
        return self._clock.now().mono

    def _listed(self, one: MemoryContainer) -> ListedContainer:
        return ListedContainer(
            id=one.id,
            name=one.name,
            labels=one.labels,
            state=one.state,
            health=self._health(one),
            ports=tuple(sorted(one.ports)) if one.state in _RUNS else (),
            exit_code=one.exit_code if one.state is ContainerState.EXITED else None,
        )

    def _health(self, one: MemoryContainer) -> Health:
        after = self._traits(one).healthy_after
        if not one.checked or one.state not in _RUNS:
            return Health.NONE
        if after is None:
            return Health.UNHEALTHY
        return Health.HEALTHY if self._now() >= one.started_at + after else Health.STARTING
