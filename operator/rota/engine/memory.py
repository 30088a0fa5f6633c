"""An Engine in memory with the traits of a real one: for the demo without root, for tests, for simulations.

It refuses names and ports that are taken, runs out of disk, loses answers after the change took effect,
leaves containers created but not started, comes back from a crash as restart policies say, hangs, refuses, is
cut off, and takes time to be healthy. Time is the clock's; nothing here waits.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from rota.clock import Clock
from rota.core.container import Check
from rota.core.observed import ContainerState, EngineFacts
from rota.core.planning.actions import StartInstance
from rota.engine.labels import FLEET, labels_for
from rota.engine.memory_container import ImageTraits, MemoryContainer
from rota.engine.memory_machine import RUNS, MemoryMachine, MemoryStream
from rota.engine.memory_output import MemoryOutput
from rota.engine.memory_registry import MemoryRegistry
from rota.engine.port import EngineError, ListedContainer, Trouble

__all__ = ["ImageTraits", "MemoryEngine", "MemoryStream"]
_ACTIVE = (*RUNS, ContainerState.RESTARTING)
_READS = frozenset(
    ("facts", "ping", "list", "find", "image", "events", "registry", "words", "check", "clock", "logs", "run")
)


@dataclass(slots=True)
class _Faults:
    """What is wrong. `silence` is what a call that is not answered means to whoever makes it."""

    refusing: bool = False
    silence: Trouble | None = None
    lost_answers: int = 0
    calls: Counter[str] = field(default_factory=Counter)


class MemoryEngine(MemoryMachine):
    """One engine and its containers. The first half is the port, the second what tests do to it.

    `images` are the names, digests and ids that are on the host. Every name is in its registry but those that
    are `unpullable` from here.
    """

    def __init__(self, name: str, clock: Clock, *, cpu: int = 4000, memory: int = 8 << 30) -> None:
        super().__init__(name, clock)
        self._facts = EngineFacts(f"memory-{name}", "1.41", "memory", cpu, memory)
        self._faults = _Faults()
        self._references: dict[str, str] = {}
        self._outputs: dict[str, list[MemoryOutput]] = {}
        self.registry = MemoryRegistry()
        self.volumes: dict[str, Mapping[str, str]] = {}
        self.images: set[str] = set()
        self.unpullable: set[str] = set()
        self.disk_full = False
        self.taken_ports: set[int] = set()
        """Host ports that a program beside the Engine has."""
        self.deaf: set[str] = set()
        """Names of containers whose ports do not answer, whatever their image."""
        self.clock_ahead = timedelta()

    # --- the port

    def facts(self) -> EngineFacts:
        self._answer("facts")
        return self._facts

    def ping(self) -> None:
        self._answer("ping")

    def clock(self) -> datetime:
        self._answer("clock")
        return self._clock.now().wall + self.clock_ahead

    def containers(self, fleet: str) -> tuple[ListedContainer, ...]:
        self._answer("list")
        return tuple(one for one in self.all_containers() if one.labels.get(FLEET) == fleet)

    def find(self, name: str) -> ListedContainer | None:
        self._answer("find")
        return next((one for one in self.all_containers() if one.name == name), None)

    def has_image(self, image: str) -> bool:
        self._answer("image")
        return self._has(image)

    def image_reference(self, image: str) -> str | None:
        self._answer("image")
        return self._reference(image) if self._has(image) else None

    def registry_reference(self, image: str) -> str:
        self._answer("registry")
        return self._ask_registry(image)

    def pull(self, image: str) -> None:
        self._answer("pull")
        try:
            reference = self._ask_registry(image)
            self._need_disk()
        except EngineError as error:
            raise EngineError(error.trouble, f"pull of {image}: {error}") from error
        self.images |= {image, reference}
        self._references[image] = reference

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with self._change("volume"):
            self.volumes.setdefault(name, dict(labels))

    def create(self, action: StartInstance) -> str:
        image = action.image or action.container.image
        with self._change("create"):
            if not self._has(image):
                raise EngineError(Trouble.NO_IMAGE, f"no such image: {image}")
            if any(one.name == action.name for one in self._containers.values()):
                raise EngineError(Trouble.NAME_TAKEN, f"the name {action.name} is in use")
            self._need_disk()
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
                restart="always" if action.restarts else "no",
                created=self._created(),
            )
            self._containers[one.id] = one
            self._tell("create", one)
            return one.id

    def start(self, container_id: str) -> None:
        with self._change("start"):
            one = self._get(container_id)
            if one.state in _ACTIVE:
                return
            taken = {
                (port.published, port.protocol)
                for other in self._containers.values()
                if other.state in RUNS
                for port in other.ports
            }
            for port in one.ports:
                if (port.published, port.protocol) in taken:
                    raise EngineError(Trouble.REJECTED, f"port {port.published} is already allocated")
                if port.published in self.taken_ports:
                    raise EngineError(
                        Trouble.REJECTED, f"bind of port {port.published}: address already in use"
                    )
            self._run(replace(one, restarts=0))
            self.settle()

    def set_restarts(self, container_id: str, *, restarts: bool) -> None:
        with self._change("update"):
            one = self._get(container_id)
            self._containers[container_id] = replace(one, restart="always" if restarts else "no")
            self._tell("update", one)

    def signal(self, container_id: str, signal: str) -> None:
        with self._change("signal"):
            one = self._get(container_id)
            if one.state not in _ACTIVE:
                raise EngineError(Trouble.REJECTED, f"container {one.name} is not running")
            self._tell("kill", one)
            if one.state is ContainerState.RESTARTING:  # it is not brought back
                self._containers[one.id] = replace(one, state=ContainerState.EXITED, restarts_at=None)
            elif signal == "SIGKILL":
                self._ask_to_end(one, 0.0, 137)
            elif signal == one.stop_signal and not one.ends_asked:
                traits = self._traits(one)
                self._ask_to_end(one, traits.stop_takes, traits.exit_code)
            self.settle()

    def remove(self, container_id: str) -> None:
        with self._change("remove"):
            one = self._get(container_id)
            if one.state in _ACTIVE:
                raise EngineError(Trouble.REJECTED, f"container {one.name} is running")
            self._drop(one)

    def last_words(self, container_id: str, lines: int) -> tuple[str, ...]:
        self._answer("words")
        with self._lock:
            return self._get(container_id).log[-lines:] if lines > 0 else ()

    def check(self, address: str, port: int, check: Check) -> None:
        """The host is asked, not its Engine: one that hangs or is down changes nothing."""
        with self._lock:
            self._faults.calls["check"] += 1
            self.settle()
            if self._faults.silence is Trouble.SILENT:
                raise EngineError(Trouble.SILENT, f"{address}:{port}: no answer within {check.timeout:g}s")
            found = (
                one
                for one in self._containers.values()
                if one.state is ContainerState.RUNNING and any(own.published == port for own in one.ports)
            )
            one = next(found, None)
            after = self._traits(one).answers_after if one is not None else None
            deaf = one is None or after is None or one.name in self.deaf
            if deaf or one is None or self._now() < one.started_at + (after or 0.0):
                raise EngineError(Trouble.REFUSED, f"{address}:{port}: connection refused")

    def logs(self, container_id: str, *, lines: int, follow: bool) -> MemoryOutput:
        self._answer("logs")
        with self._lock:
            one = self._get(container_id)
            last = one.log[-lines:] if lines > 0 else ()
            ended = not follow or one.state not in _ACTIVE
            output = MemoryOutput((f"{line}\n".encode() for line in last), ended=ended)
            if not ended:
                self._outputs.setdefault(container_id, []).append(output)
            return output

    def run(self, container_id: str, command: tuple[str, ...]) -> MemoryOutput:
        self._answer("run")
        with self._lock:
            one = self._get(container_id)
            if one.state is not ContainerState.RUNNING:
                raise EngineError(Trouble.REJECTED, f"container {one.name} is not running")
            known = self._traits(one).commands.get(command)
            text, code = known or (f"exec: {command[0]}: executable file not found in $PATH\n", 127)
            return MemoryOutput([text.encode()] if text else [], ended=True, exit_code=code)

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
            for outputs in self._outputs.values():
                for output in outputs:
                    output.close()
            self._outputs.clear()

    # --- what happens to it

    @property
    def writes(self) -> int:
        """How many changing calls have arrived; a second pass over an unchanged fleet adds none."""
        return sum(count for call, count in self._faults.calls.items() if call not in _READS)

    @property
    def answers(self) -> bool:
        """Whether calls reach it and are answered."""
        return not self._faults.refusing and self._faults.silence is None

    def refuse(self) -> None:
        """The Engine is down, its containers go on: connections are refused, the stream ends."""
        self._faults.refusing = True
        self.close()

    def hang(self) -> None:
        """The Engine accepts and never answers; every call ends at its deadline, here at once."""
        self._be_silent(Trouble.HUNG)

    def cut(self) -> None:
        """The host is cut off: nothing of it answers, and what it tells comes once it is healed."""
        self._be_silent(Trouble.SILENT)

    def heal(self) -> None:
        with self._lock:
            self._faults.refusing, self._faults.silence = False, None
            self._faults.lost_answers = 0
            withheld, self._withheld = self._withheld or [], None
            for stream, event in withheld:
                stream.items.put(event)

    def lose_answers(self, count: int) -> None:
        """The next `count` changes take effect, and their answers are lost."""
        self._faults.lost_answers = count

    def crash_and_restart(self) -> None:
        """The Engine is killed and started: what has policy `always` runs again, stopped by hand or not; the
        rest stays exited."""
        self.close()
        with self._lock:
            for one in list(self._containers.values()):
                if one.state is ContainerState.CREATED:
                    continue
                if one.state in _ACTIVE:
                    one = self._exit(one, 137)
                if one.restart == "always":
                    self._run(replace(one, restarts=0))

    def replace_machine(self, number: int = 2) -> None:
        """Another machine takes its place under the same name: another Engine, with nothing on it."""
        self.close()
        with self._lock:
            self._facts = replace(self._facts, id=f"memory-{self._name}-{number}")
            self._containers.clear()
            self.volumes, self.images = {}, set()
            self.changes += 1

    def build(self, image: str) -> str:
        """An image is made here and never pushed; its id."""
        made = f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
        self.images |= {image, made}
        self._references[image] = made
        return made

    def write(self, name: str, line: str) -> None:
        super().write(name, line)
        with self._lock:
            for output in self._outputs.get(self._named(name).id, ()):
                output.write(f"{line}\n".encode())

    # --- inner workings

    def _be_silent(self, silence: Trouble) -> None:
        with self._lock:
            self._faults.silence = silence
            self._withheld = self._withheld or []

    def _has(self, image: str) -> bool:
        return image in self.images or any(self._reference(name) == image for name in self.images)

    def _reference(self, image: str) -> str:
        """The digest that an image was pulled by; of one that was there from the start, its registry's."""
        if "@" in image or image.startswith("sha256:"):
            return image
        if image not in self._references:
            self._references[image] = self.registry.digest(image)
        return self._references[image]

    def _ask_registry(self, image: str) -> str:
        if image in self.unpullable or self.registry.name_of(image) in self.unpullable:
            raise EngineError(Trouble.REJECTED, "no such image in its registry")
        return self.registry.reference(image)

    def _need_disk(self) -> None:
        if self.disk_full:
            raise EngineError(Trouble.REJECTED, "no space left on device")

    def _ask_to_end(self, one: MemoryContainer, seconds: float, code: int) -> None:
        ends_at = self._now() + seconds
        self._containers[one.id] = replace(
            one, ends_at=ends_at, ends_with=code, ends_oom=False, ends_asked=True
        )

    def _exit(self, one: MemoryContainer, code: int) -> MemoryContainer:
        for output in self._outputs.pop(one.id, ()):
            output.end()
        return super()._exit(one, code)

    def _answer(self, call: str, silence: Trouble | None = None) -> None:
        """Raise where the call is not answered; `silence` is what that means, else what the fault says."""
        with self._lock:
            self._faults.calls[call] += 1
        if self._faults.refusing:
            raise EngineError(Trouble.REFUSED, "connection refused: is the Engine running?")
        if self._faults.silence is Trouble.SILENT:
            raise EngineError(Trouble.SILENT, "no connection to the Engine")
        if self._faults.silence is not None:
            raise EngineError(silence or self._faults.silence, "no answer within the deadline")

    @contextmanager
    def _change(self, call: str) -> Iterator[None]:
        """A changing call: under the lock, and with its answer lost afterwards where a fault says so."""
        self._answer(call, Trouble.LOST)
        with self._lock:
            yield
        if self._faults.lost_answers > 0:
            self._faults.lost_answers -= 1
            raise EngineError(Trouble.LOST, f"the answer to {call} was lost")
