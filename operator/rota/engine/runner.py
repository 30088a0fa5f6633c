"""The only owner of threads and sockets: makes the workers' calls and feeds them the answers.

One loop thread steps the workers of all hosts. There are always as many threads as calls under way, so that a
host that hangs delays nobody else; what a host may have under way is bounded by its lanes. Views and outcomes
leave as immutable values.
"""

from __future__ import annotations

import contextlib
import heapq
import queue
import resource
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog

from rota.clock import Clock
from rota.core.model import FailureSettings
from rota.core.observed import HostView, Outcome
from rota.core.planning.actions import Action
from rota.engine.calls import perform
from rota.engine.liveness import MOST_PROBES
from rota.engine.port import Engine, EngineError, EventStream, Trouble
from rota.engine.port_checks import MOST_CHECKS
from rota.engine.workbench import MOST_CALLS, MOST_PULLS
from rota.engine.worker import HostWorker
from rota.engine.worker_events import (
    Answered,
    Asked,
    Failed,
    Lane,
    Stirred,
    StreamBroke,
    StreamOpened,
    Submitted,
    Woke,
    WorkerEvent,
    actions_by_host,
)

log = structlog.get_logger()

QUEUE_SIZE = 10_000
"""Events waiting for the loop. A full queue makes call threads wait, never the loop."""
MOST_STIRRED = 100
"""Of these, events of one host's stream: a burst there waits on its socket, and delays no other host."""
STALE_TIMERS = 1_000
"""So many timers that another has taken the place of are left until they would be due."""
MOST_OUTCOMES = 10_000
JOIN_SECONDS = 2.0
MOST_AT_ONCE = {
    Lane.WATCH: MOST_PROBES + 1,
    Lane.WORK: MOST_CALLS,
    Lane.PULL: MOST_PULLS,
    Lane.CHECK: MOST_CHECKS,
}
IDLE_SECONDS = 60.0
"""A thread that had nothing to do for so long ends."""
MOST_SOCKETS = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSetup:
    """How a host is reached: what, when it changes, needs a new connection.

    `address` is where its published ports are reached.
    """

    name: str
    endpoint: str
    tls: str | None
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetSetup:
    """What the workers of one fleet have in common."""

    name: str
    uid: str
    failure: FailureSettings


class Hosts(Protocol):
    """What a pass needs of the hosts. `Runner` watches them on threads, a simulation step by step."""

    def configure(self, fleet: FleetSetup, hosts: Iterable[HostSetup]) -> None:
        """Watch exactly `hosts`. Those whose setup is unchanged keep their connection and view."""
        ...

    def views(self) -> Mapping[str, HostView]:
        """The latest view of every host."""
        ...

    def take_outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes since the last call, oldest first."""
        ...

    def submit(self, actions: Iterable[Action], *, held: bool = False) -> None:
        """The actions that are wanted now: every host's queue is replaced, by nothing where it has none.

        `held`: nothing may be changed, so what has begun halts before its next call.
        """
        ...


@dataclass(slots=True)
class _Member:
    setup: HostSetup
    fleet: str
    engine: Engine
    worker: HostWorker
    lanes: dict[Lane, _Bounded]
    stirred: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_STIRRED))
    stream: EventStream | None = None
    wake_at: float = 0.0
    closed: bool = False


class _Threads:
    """Threads that make calls: for every job an idle one or a new one, so that no job waits for another.

    They are started by a thread of their own: a start lasts until the new thread had its first turn, which is
    long while hundreds of others want theirs. Daemon threads, unlike those of an executor: a call that lasts
    must not hold up the end of the daemon.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._missing: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        threading.Thread(target=self._start, name="rota-threads", daemon=True).start()

    def submit(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if not self._idle.acquire(blocking=False):
            self._missing.put(True)

    def close(self) -> None:
        """Let every thread end after the job it has."""
        self._missing.put(False)
        self._jobs.put(None)

    def _start(self) -> None:
        while self._missing.get():
            if not self._idle.acquire(blocking=False):  # nobody has become idle since
                threading.Thread(target=self._run, name="rota-call", daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                if self._idle.acquire(blocking=False):
                    return
                continue  # a job is on its way to this thread
            if job is None:
                break
            job()
            self._idle.release()
        self._jobs.put(None)  # for the next thread


class _Bounded:
    """Jobs of one lane of one host: at most `most` at once, the others in their order."""

    def __init__(self, threads: _Threads, most: int) -> None:
        self._threads = threads
        self._room = most
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            if self._room == 0:
                self._waiting.append(job)
                return
            self._room -= 1
        self._threads.submit(partial(self._run, job))

    def close(self) -> None:
        """Drop what has not begun."""
        with self._lock:
            self._waiting.clear()

    def _run(self, job: Callable[[], None]) -> None:
        job()
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            self._room += following is None
        if following is not None:
            self._threads.submit(partial(self._run, following))


class Runner:
    """Steps the workers of a fleet. `on_change` is called, from the loop, when a view or outcome came in."""

    def __init__(
        self, open_engine: Callable[[HostSetup], Engine], clock: Clock, on_change: Callable[[], None]
    ) -> None:
        self._open_engine = open_engine
        self._clock = clock
        self._on_change = on_change
        _allow_many_sockets()
        self._fleet: FleetSetup | None = None
        self._members: dict[str, _Member] = {}
        self._events: queue.Queue[tuple[str, HostWorker | None, WorkerEvent] | None] = queue.Queue(QUEUE_SIZE)
        self._timers: list[tuple[float, str]] = []
        self._threads = _Threads()
        self._lock = threading.Lock()
        self._views: dict[str, HostView] = {}
        self._outcomes: list[Outcome] = []
        self._loop = threading.Thread(target=self._run, name="rota-engines", daemon=True)
        self._loop.start()

    def configure(self, fleet: FleetSetup, hosts: Iterable[HostSetup]) -> None:
        """Watch exactly `hosts`. Those whose setup is unchanged keep their connection and view."""
        wanted = {host.name: host for host in hosts}
        fleet_changed = fleet != self._fleet
        self._fleet = fleet
        for name, member in list(self._members.items()):
            if fleet_changed or wanted.get(name) != member.setup:
                self._close(self._members.pop(name))
                with self._lock:
                    self._views.pop(name, None)
        for name, setup in sorted(wanted.items()):
            if name not in self._members:
                self._open(fleet, setup)

    def views(self) -> Mapping[str, HostView]:
        """The latest view of every host."""
        with self._lock:
            return dict(self._views)

    def take_outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes since the last call, oldest first."""
        with self._lock:
            outcomes, self._outcomes = tuple(self._outcomes), []
            return outcomes

    def submit(self, actions: Iterable[Action], *, held: bool = False) -> None:
        """The actions that are wanted now: every host's queue is replaced, by nothing where it has none.

        `held`: nothing may be changed, so what has begun halts before its next call.
        """
        groups = actions_by_host(actions)
        for name, member in self._members.items():
            self._post(name, member.worker, Submitted(groups.get(name, ()), held))

    def close(self) -> None:
        """End every connection and thread. Containers are left as they are."""
        for member in self._members.values():
            self._close(member)
        self._members.clear()
        self._events.put(None)
        self._loop.join(JOIN_SECONDS)
        self._threads.close()

    def _open(self, fleet: FleetSetup, setup: HostSetup) -> None:
        worker = HostWorker(setup.name, fleet.name, fleet.uid, fleet.failure, setup.address)
        lanes = {lane: _Bounded(self._threads, most) for lane, most in MOST_AT_ONCE.items()}
        self._members[setup.name] = _Member(setup, fleet.name, self._open_engine(setup), worker, lanes)
        with self._lock:
            self._views[setup.name] = worker.view
        self._post(setup.name, worker, Woke())

    def _close(self, member: _Member) -> None:
        member.closed = True
        member.stirred.release()
        if member.stream is not None:
            member.stream.close()
        for lane in member.lanes.values():
            lane.close()
        member.engine.close()

    def _post(self, name: str, worker: HostWorker, event: WorkerEvent) -> None:
        self._events.put((name, worker, event))

    def _run(self) -> None:
        while True:
            item = self._next()
            if item is None:
                return
            name, worker, event = item
            member = self._members.get(name)
            if member is None or worker not in (None, member.worker):
                continue
            if isinstance(event, Stirred):
                member.stirred.release()
            try:
                self._step(name, member, event)
            except Exception:  # a bug met on one host must not end the loop of all
                log.exception("a step failed. Please report this", host=name, step=type(event).__name__)

    def _next(self) -> tuple[str, HostWorker | None, WorkerEvent] | None:
        """The next event, or a `Woke` for the timer that is due first."""
        while self._timers:
            at, name = self._timers[0]
            member = self._members.get(name)
            if member is None or member.wake_at != at:  # another timer has taken its place since
                heapq.heappop(self._timers)
                continue
            timeout = at - self._clock.now().mono
            with contextlib.suppress(queue.Empty):
                if timeout > 0:
                    return self._events.get(timeout=timeout)
            heapq.heappop(self._timers)
            member.wake_at = 0.0
            return name, None, Woke()
        return self._events.get()

    def _set_timer(self, at: float, name: str) -> None:
        """Timers that another has taken the place of go when they are due, or when they are the most."""
        heapq.heappush(self._timers, (at, name))
        if len(self._timers) > STALE_TIMERS + 2 * len(self._members):
            members = self._members.items()
            self._timers = [(member.wake_at, name) for name, member in members if member.wake_at]
            heapq.heapify(self._timers)

    def _step(self, name: str, member: _Member, event: WorkerEvent) -> None:
        before = member.worker.view
        step = member.worker.advance(event, self._clock.now().mono)
        for asked in step.calls:
            member.lanes[asked.lane].submit(partial(self._call, name, member, asked))
        if step.listen:
            self._threads.submit(partial(self._listen, name, member))
        if step.wake_at != member.wake_at:
            member.wake_at = step.wake_at
            self._set_timer(step.wake_at, name)
        if step.outcomes or member.worker.view is not before:
            with self._lock:
                if member.closed:
                    return
                self._views[name] = member.worker.view
                self._outcomes = (self._outcomes + list(step.outcomes))[-MOST_OUTCOMES:]
            self._on_change()

    def _call(self, name: str, member: _Member, asked: Asked) -> None:
        if member.closed:
            return
        event: WorkerEvent
        try:
            event = Answered(asked.number, perform(asked.call, member.engine))
        except EngineError as error:
            event = Failed(asked.number, error)
        except Exception as error:
            log.exception("engine call failed unexpectedly", host=name, call=type(asked.call).__name__)
            event = Failed(asked.number, EngineError(Trouble.REJECTED, f"unexpected {type(error).__name__}"))
        if not member.closed:
            self._post(name, member.worker, event)

    def _listen(self, name: str, member: _Member) -> None:
        error = EngineError(Trouble.SILENT, "the event stream ended")
        try:
            member.stream = member.engine.events(member.fleet)
            if member.closed:  # while the stream was being opened
                member.stream.close()
            self._post(name, member.worker, StreamOpened())
            for event in member.stream:
                member.stirred.acquire()
                if member.closed:
                    return
                self._post(name, member.worker, Stirred(event))
        except EngineError as broken:
            error = broken
        except Exception:
            log.exception("the event stream failed unexpectedly", host=name)
        if not member.closed:
            self._post(name, member.worker, StreamBroke(error))


def _allow_many_sockets() -> None:
    """A host takes two to a dozen; the usual limit of 1,024 is meant for programs that `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_SOCKETS if hard == resource.RLIM_INFINITY else min(hard, MOST_SOCKETS)
    if soft not in (resource.RLIM_INFINITY, wanted) and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
