"""The workers of many hosts on engines in memory, stepped in one thread."""

from __future__ import annotations

import queue
import random
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from rota.core.model import FailureSettings
from rota.core.observed import HostState, HostView, Outcome
from rota.core.planning.actions import Action
from rota.engine.calls import Call, Create, Pull, perform
from rota.engine.memory import MemoryEngine, MemoryStream
from rota.engine.memory_registry import MemoryRegistry
from rota.engine.port import EngineError
from rota.engine.runner import FleetSetup, HostSetup
from rota.engine.worker import HostWorker
from rota.engine.worker_events import (
    Answered,
    Asked,
    Failed,
    Stirred,
    StreamBroke,
    StreamOpened,
    Submitted,
    Woke,
    WorkerEvent,
    actions_by_host,
)
from rota.simulation.clock import VirtualClock

NEVER = float("inf")


class Flying(NamedTuple):
    """A call on its way to an Engine, which takes effect and is answered at `due` (monotonic seconds)."""

    due: float
    name: str
    asked: Asked


class SteppedHosts:
    """Stands in for `Runner`: the same workers, no threads. Whoever holds it decides when what happens.

    `choose` picks which of the calls that are due is answered next. `on_change` is called when a view or an
    outcome came in. Engines are made as hosts are met, pull from one registry, and stay when the workers are
    forgotten.
    """

    def __init__(
        self,
        clock: VirtualClock,
        choose: random.Random,
        on_change: Callable[[], None],
        open_engine: Callable[[str], MemoryEngine],
    ) -> None:
        self.engines: dict[str, MemoryEngine] = {}
        self.workers: dict[str, HostWorker] = {}
        self.flying: list[Flying] = []
        self._clock = clock
        self._choose = choose
        self._on_change = on_change
        self._open_engine = open_engine
        self.registry = MemoryRegistry()
        self._fleet: FleetSetup | None = None
        self._setups: dict[str, HostSetup] = {}
        self._streams: dict[str, MemoryStream] = {}
        self._wakes: dict[str, float] = {}
        self._outcomes: list[Outcome] = []

    # --- what a pass needs

    def configure(self, fleet: FleetSetup, hosts: Iterable[HostSetup]) -> None:
        """Watch exactly `hosts`, as `Runner.configure` does."""
        wanted = {host.name: host for host in hosts}
        for name, setup in list(self._setups.items()):
            if fleet != self._fleet or wanted.get(name) != setup:
                self._leave(name)
        self._fleet = fleet
        for name, setup in wanted.items():
            if name not in self.workers:
                self._meet(name, setup, fleet)

    def _meet(self, name: str, setup: HostSetup, fleet: FleetSetup) -> None:
        if name not in self.engines:
            self.engines[name] = self._open_engine(name)
            self.engines[name].registry = self.registry
        self._setups[name] = setup
        self.workers[name] = HostWorker(name, fleet.name, fleet.uid, fleet.failure, setup.address)
        self._wakes[name] = 0.0

    def views(self) -> Mapping[str, HostView]:
        return {name: worker.view for name, worker in self.workers.items()}

    def take_outcomes(self) -> tuple[Outcome, ...]:
        outcomes, self._outcomes = tuple(self._outcomes), []
        return outcomes

    def submit(self, actions: Iterable[Action], *, held: bool = False) -> None:
        groups = actions_by_host(actions)
        for name in list(self.workers):
            self.feed(name, Submitted(groups.get(name, ()), held))

    # --- what time brings

    def tell(self) -> None:
        """What is due by now: engines let happen what time brings, workers hear of it and wake."""
        for name in sorted(self.workers):
            self.engines[name].settle()
            self._hear(name)
            if self._wakes[name] <= self._clock.mono:
                self.feed(name, Woke())

    def take_one(self) -> Flying | None:
        """One of the calls that are due, any of them, now for the caller to `make`; None where none is."""
        due = [index for index, one in enumerate(self.flying) if one.due <= self._clock.mono]
        return self.flying.pop(due[self._choose.randrange(len(due))]) if due else None

    def make(self, flying: Flying) -> WorkerEvent:
        """Let a call reach its Engine; what its worker is to be told of it."""
        try:
            return Answered(flying.asked.number, perform(flying.asked.call, self.engines[flying.name]))
        except EngineError as error:
            return Failed(flying.asked.number, error)

    def settle(self) -> None:
        """Everything that happens at this instant, until nothing is left of it."""
        self.tell()
        while (flying := self.take_one()) is not None:
            self.feed(flying.name, self.make(flying))
            if all(one.due > self._clock.mono for one in self.flying):
                self.tell()

    def feed(self, name: str, event: WorkerEvent) -> None:
        """One step of a worker, and what follows from it."""
        worker = self.workers[name]
        before = worker.view
        step = worker.advance(event, self._clock.mono)
        self._outcomes += step.outcomes
        self.flying += [Flying(self._due(name, asked.call), name, asked) for asked in step.calls]
        self._wakes[name] = step.wake_at
        if step.listen:
            self._listen(name)
        if step.outcomes or worker.view is not before:
            self._on_change()

    def forget(self) -> None:
        """The daemon is gone: nobody listens any more, and calls under way reach nobody."""
        for name in list(self.workers):
            self._leave(name)
        self._fleet = None
        self._outcomes = []

    # --- what is known of the time ahead

    @property
    def calm(self) -> bool:
        """Nothing is under way, and every host is known to be as it is: then heartbeats change nothing."""
        return not self.flying and all(
            worker.at_rest and self.engines[name].answers is (worker.view.state is HostState.REACHABLE)
            for name, worker in self.workers.items()
        )

    @property
    def patience(self) -> float:
        """How many seconds workers may be left alone only if it is for longer: a sleep, not a silence."""
        failure = self._fleet.failure if self._fleet is not None else FailureSettings()
        return failure.suspect_after + failure.heartbeat

    @property
    def next_wake(self) -> float:
        """When a worker is to be woken, in monotonic seconds."""
        return min(self._wakes.values(), default=NEVER)

    @property
    def next_change(self) -> float:
        """When a call is answered, or a container becomes healthy or ends."""
        answers = [one.due for one in self.flying]
        changes = [at for name in self.workers if (at := self.engines[name].changes_at) is not None]
        return min([*answers, *changes], default=NEVER)

    # --- inner workings

    def _leave(self, name: str) -> None:
        del self.workers[name], self._setups[name], self._wakes[name]
        stream = self._streams.pop(name, None)
        if stream is not None:
            stream.close()
        self.flying = [one for one in self.flying if one.name != name]

    def _due(self, name: str, call: Call) -> float:
        """When a call that is asked for now takes effect."""
        engine, now = self.engines[name], self._clock.mono
        match call:
            case Pull(image):
                return now + engine.behaviour(self.registry.name_of(image), "").pull_takes
            case Create(action):
                return now + engine.behaviour(action.container.image, action.name).create_takes
            case _:
                return now

    def _listen(self, name: str) -> None:
        assert self._fleet is not None
        try:
            self._streams[name] = self.engines[name].events(self._fleet.name)
        except EngineError as error:
            self.feed(name, StreamBroke(error))
        else:
            self.feed(name, StreamOpened())

    def _hear(self, name: str) -> None:
        """What the event stream of a host has told since it was heard last."""
        stream, items = self._streams.get(name), []
        while stream is not None:
            try:
                items.append(stream.items.get_nowait())
            except queue.Empty:
                break
        for item in items:
            if isinstance(item, EngineError):
                del self._streams[name]
                self.feed(name, StreamBroke(item))
                return
            self.feed(name, Stirred(item))
