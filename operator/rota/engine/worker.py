"""One host's worker: a state machine without threads, clocks or sockets.

`advance(event, now)` takes what happened and returns the calls to make. It holds the host's view,
what was submitted, and when to ask again. Monotonic seconds throughout.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from rota.core.model import FailureSettings
from rota.core.observed import (
    ContainerState,
    EngineFacts,
    Foreign,
    HostState,
    HostView,
    ObservedContainer,
)
from rota.core.planning.actions import StopInstance
from rota.engine import labels
from rota.engine.calls import (
    Answer,
    AskFacts,
    AskLastWords,
    AskPort,
    Call,
    ListContainers,
    Ping,
    Pull,
)
from rota.engine.deaths import DeathWatch
from rota.engine.last_words import LastWords, turned_unhealthy
from rota.engine.list_times import COALESCE_SECONDS, NEVER, ListTimes
from rota.engine.liveness import MOST_PROBES, UNANSWERED, Liveness
from rota.engine.looks import Looks
from rota.engine.port import ContainerEvent, EngineError, ListedContainer
from rota.engine.port_checks import MOST_CHECKS, PortChecks
from rota.engine.workbench import Workbench
from rota.engine.worker_events import (
    Answered,
    Asked,
    Failed,
    Lane,
    Step,
    Stirred,
    StreamBroke,
    StreamOpened,
    Submitted,
    Woke,
    WorkerEvent,
)

CONFLICT_SECONDS = 300.0
"""How long a foreign container that has the name of one of ours is remembered after it stood in the way."""
NAME_IS_TAKEN = "has the name of one of ours and is not Rota's; it is left alone"


class _Flying(NamedTuple):
    """A call of the worker's own, when it was asked, and the container that it is about."""

    call: Call
    at: float
    container_id: str = ""


class HostWorker:
    """Watches one host and carries out what is submitted, at most 8 calls at a time."""

    def __init__(self, name: str, fleet: str, uid: str, failure: FailureSettings, address: str = "") -> None:
        """`address` is where published ports of the host are asked, for checks from outside."""
        self.view = HostView(name=name)
        self._fleet = fleet
        self._uid = uid
        self._failure = failure
        self._liveness = Liveness(name, failure)
        self._looks = Looks(name, failure)
        self._lists = ListTimes(name)
        self._deaths = DeathWatch()
        self._words = LastWords()
        self._checks = PortChecks(address)
        self._bench = Workbench(name)
        self._number = 0
        self._flying: dict[int, _Flying] = {}
        self._listed: tuple[ListedContainer, ...] = ()
        self._listed_once = False
        self._stale = True
        self._started: dict[str, float] = {}
        self._conflicts: dict[str, float] = {}
        self._stream: bool | None = False  # None while it is being opened
        self._stream_due = 0.0

    @property
    def at_rest(self) -> bool:
        """Nothing is under way or expected: what comes next are heartbeats, full lists and fresh probes."""
        quiet = not self._flying and not self._bench.busy and not self._bench.awaits_list
        if self.view.state is HostState.LOST:
            return quiet
        listened = self._stream is True and self._lists.quiet and self._deaths.list_at == NEVER
        return quiet and listened and self._checks.settled and self.view.state is HostState.REACHABLE

    def advance(self, event: WorkerEvent, now: float) -> Step:
        """One step. `now` never goes back."""
        self._liveness.step(now)
        self._deaths.stopping(self._bench.stopping, now)
        self._take(event, now)
        self._judge(now)
        calls = [*self._watch(now), *self._check(now), *self._work(now)]
        listen = self._stream is False and self._looks.facts is not None and now >= self._stream_due
        if listen:
            self._stream = None
        self._conflicts.update(dict.fromkeys(self._bench.take_conflicts(), now))
        outcomes = self._bench.take_outcomes()
        if outcomes or self._bench.wants_list:
            self._bench.wants_list = False
            self._lists.stir(now, busy=self._bench.busy)
        self._deaths.stopping(self._bench.stopping, now)
        self._deaths.tend(now)
        self._words.tend(self.view.containers, now)
        self._refresh_view()
        return Step(calls=tuple(calls), outcomes=outcomes, listen=listen, wake_at=self._wake_at(now))

    def _take(self, event: WorkerEvent, now: float) -> None:
        match event:
            case Submitted(actions, held):
                self._bench.submit(actions, held=held)
                for stop in actions:
                    if isinstance(stop, StopInstance) and stop.sick and not held:
                        self._words.want(stop.container_id, (stop.workload, stop.slot), now)
            case Answered(number, answer):
                self._answered(number, answer, now)
            case Failed(number, error):
                self._failed(number, error, now)
            case StreamOpened():
                self._stream = True
                self._deaths.interrupted(now)
                self._lists.want(now)
            case StreamBroke(error):
                self._stream_broke(error, now)
            case Stirred(told):
                self._stirred(told, now)
            case Woke():
                pass

    def _stream_broke(self, error: EngineError, now: float) -> None:
        # Where events may not be asked for at all, lists alone tell of deaths, without a break.
        if self._stream is True or error.trouble in UNANSWERED:
            self._deaths.interrupted(now)
        if self._stream is True:
            self._looks.doubt(now)
        self._stream = False
        self._stream_due = now + self._failure.heartbeat
        self._lists.want(now)

    def _stirred(self, event: ContainerEvent, now: float) -> None:
        if event.action == "start":
            self._started[event.container_id] = now
            self._stale = True
        self._deaths.told(event, now)
        self._lists.stir(now, busy=self._bench.busy)
        self._lists.settle(now)

    def _heard(self, now: float) -> None:
        """The Engine's API answered."""
        self._liveness.heard(now)
        self._looks.heard(now)
        if self._checks.heard(now):
            self._adopt_list(now)

    def _answered(self, number: int, answer: Answer, now: float) -> None:
        flying = self._flying.pop(number, None)
        if flying is not None and isinstance(flying.call, AskPort):
            if self._checks.succeeded(flying.container_id, flying.at):
                self._adopt_list(now)
            return
        self._heard(now)
        match flying.call if flying is not None else None:
            case None:
                self._bench.answered(number, answer, now)
            case AskFacts():
                assert isinstance(answer, EngineFacts)
                self._looks.told(answer)
                self._lists.want(now)
            case ListContainers():
                assert isinstance(answer, tuple)
                self._seen(number, tuple(one for one in answer if isinstance(one, ListedContainer)), now)
            case AskLastWords(container_id):
                assert isinstance(answer, tuple)
                self._words.answered(container_id, (line for line in answer if isinstance(line, str)))

    def _seen(self, number: int, listed: tuple[ListedContainer, ...], now: float) -> None:
        """A list is in."""
        self._lists.answered(now)
        self._looks.listed(now)
        same = listed is self._listed and self._listed_once
        self._listed, self._listed_once = listed, True
        self._bench.seen(number, {one.id: one.state for one in listed}, now)
        self._started = {one.id: self._started[one.id] for one in listed if one.id in self._started}
        if not same or self._stale or self._bench.busy or self._conflicts:
            self._adopt_list(now)  # else the Engine has said, word for word, what it said before
        for death in self._deaths.listed(self.view.containers, self._lists.asked_at, now):
            self._words.want(death.container_id, death.of[:2], now)

    def _adopt_list(self, now: float) -> None:
        """The view of what was listed last, with what the checks say of it by now."""
        if not self._listed_once:
            return
        self._stale = False
        self._conflicts = {name: at for name, at in self._conflicts.items() if now - at < CONFLICT_SECONDS}
        containers: list[ObservedContainer] = []
        foreign: list[Foreign] = []
        for listed in self._listed:
            read = self._read(listed, now)
            if isinstance(read, Foreign):
                foreign.append(read)
            else:
                containers.append(read)
        self._checks.keep(containers)
        for one in turned_unhealthy(self.view.containers, containers):
            self._words.want(one.id, (one.workload, one.slot), now)
        by_itself = {one.id for one in self._listed if labels.restarts_by_itself(one.labels)}
        self._bench.restartable = {
            one.id: (one.workload, one.slot) for one in containers if one.running and one.id in by_itself
        }
        fresh = replace(
            self.view,
            listed=True,
            containers=tuple(sorted(containers, key=lambda one: (one.workload, one.slot, one.name))),
            foreign=tuple(sorted([*foreign, *(Foreign(name, NAME_IS_TAKEN) for name in self._conflicts)])),
        )
        if fresh != self.view:  # an unchanged view keeps its identity: nobody is woken for it
            self.view = fresh

    def _read(self, listed: ListedContainer, now: float) -> ObservedContainer | Foreign:
        started = self._started.get(listed.id)
        read = labels.read(listed, self._uid, self.view, now, started)
        if isinstance(read, Foreign):
            return read
        if read.state is ContainerState.CREATED and read.name in self._bench.starting:
            return replace(read, state=ContainerState.PENDING)
        verdict = self._checks.verdict(read, now)
        if verdict is None:
            return read
        return labels.read(replace(listed, health=verdict), self._uid, self.view, now, started)

    def _failed(self, number: int, error: EngineError, now: float) -> None:
        flying = self._flying.pop(number, None)
        if flying is not None and isinstance(flying.call, AskPort):
            if self._checks.failed(flying.container_id, flying.at, self._liveness.last_answer):
                self._adopt_list(now)
            return
        answered = error.trouble not in UNANSWERED
        if answered:
            self._heard(now)
        elif not self._bench.asks_registry(number):
            self._liveness.unanswered(error.trouble, str(error), now)
            self._checks.doubt()
        if flying is None:
            self._bench.failed(number, error, now)
            if not answered:
                self._lists.want(now + COALESCE_SECONDS)
        elif not isinstance(flying.call, AskLastWords):
            self._watch_failed(flying, error, now)

    def _watch_failed(self, flying: _Flying, error: EngineError, now: float) -> None:
        """A probe or a look failed: by silence, or with what the Engine said."""
        if error.trouble in UNANSWERED:
            self._liveness.probe_failed(flying.at, now)
            self._deaths.interrupted(now)
        self._looks.failed(error, now)
        if not isinstance(flying.call, Ping) and self._liveness.last_answer >= flying.at:
            self._looks.look_failed(error)
        if isinstance(flying.call, ListContainers):
            self._lists.failed(now, self._failure.heartbeat)

    def _judge(self, now: float) -> None:
        """The host's state: whether it lives, and whether it could be looked at."""
        state, detail = self._liveness.judge(now), self._liveness.detail
        blind = self._looks.blind(now)
        if state in (HostState.REACHABLE, HostState.SUSPECT) and self._looks.refused:
            state, detail = HostState.REFUSED, self._looks.refused
        elif state is HostState.REACHABLE and blind:
            state, detail = HostState.SUSPECT, blind
        elif state is HostState.REACHABLE and not self._listed_once:
            if not self._is_flying(ListContainers):
                self._lists.want(now)
            return  # heard again, but not yet looked at: the state before holds until its list is in
        elif state in (HostState.REACHABLE, HostState.UNKNOWN):
            detail = ""
        if state is not HostState.REACHABLE:
            self._listed_once = False
            why = detail or "the host was not seen yet"
            self._bench.abandon(why, now, lost=state is HostState.LOST)
        if (state, detail) != (self.view.state, self.view.detail):
            since = now if state is not self.view.state else self.view.since
            self.view = replace(self.view, state=state, detail=detail, since=since)

    def _watch(self, now: float) -> list[Asked]:
        """Facts after a silence, a list when something stirred, a ping when nothing was heard."""
        asked = []
        if self._looks.facts is None:
            if not self._is_flying(AskFacts) and now >= self._looks.facts_due:
                asked.append(self._ask(AskFacts(), now))
        elif not self._is_flying(ListContainers) and now >= self._list_at():
            asked.append(self._ask(ListContainers(self._fleet), now))
            self._lists.asked(now)
        if now >= self._probe_due:
            asked.append(self._ask(Ping(), now))
            self._liveness.probed(now)
        return asked

    def _is_flying(self, kind: type[Call]) -> bool:
        return any(isinstance(one.call, kind) for one in self._flying.values())

    @property
    def _probe_due(self) -> float:
        """Of a few probes under way none needs to have ended. What cannot be used, and says so, is asked for
        its facts only, from time to time."""
        refuses = self._looks.refused and not self._liveness.doubted
        enough = sum(isinstance(one.call, Ping) for one in self._flying.values()) >= MOST_PROBES
        return NEVER if refuses or enough else self._liveness.probe_due

    def _list_at(self) -> float:
        return self._lists.at(awaited=self._bench.awaits_list, wanted=self._deaths.list_at)

    def _check(self, now: float) -> list[Asked]:
        """Checks of ports that are due, and questions for last words."""
        if self.view.state is not HostState.REACHABLE or self._looks.facts is None:
            return []
        room = MOST_CHECKS - sum(isinstance(one.call, AskPort) for one in self._flying.values())
        pairs = self._checks.take_calls(room, now)
        asked = [self._ask(call, now, Lane.CHECK, container_id) for container_id, call in pairs]
        return asked + [self._ask(call, now, Lane.CHECK) for call in self._words.take_calls()]

    def _ask(self, call: Call, now: float, lane: Lane = Lane.WATCH, container_id: str = "") -> Asked:
        number = self._next_number()
        self._flying[number] = _Flying(call, now, container_id)
        return Asked(number, lane, call)

    def _work(self, now: float) -> list[Asked]:
        if self.view.state is not HostState.REACHABLE or self._looks.facts is None:
            return []
        asked = []
        for task, call in self._bench.next_calls(now):
            number = self._next_number()
            self._bench.asked(task, number)
            asked.append(Asked(number, Lane.PULL if isinstance(call, Pull) else Lane.WORK, call))
        return asked

    def _next_number(self) -> int:
        self._number += 1
        self._bench.latest = self._number
        return self._number

    def _refresh_view(self) -> None:
        bench, view = self._bench, self.view
        fresh: dict[str, Any] = {
            "pending": bench.pending({one.name for one in view.containers}),
            "queued": bench.queued,
            "stopping": bench.stopping,
            "pulling": bench.pulling,
            "images": bench.images,
            "engine": self._looks.facts or view.engine,
            "deaths": self._deaths.deaths,
            "last_words": self._words.words,
        }
        if any(getattr(view, name) != value for name, value in fresh.items()):
            self.view = replace(view, **fresh)

    def _wake_at(self, now: float) -> float:
        """The earliest instant at which something is due."""
        times = [self._bench.wake_at, self._probe_due, *self._liveness.wake_at(now)]
        if self._looks.facts is None:
            times.append(self._looks.facts_due)
        else:
            times += [self._list_at(), self._checks.wake_at]
            if self._stream is False:
                times.append(self._stream_due)
        return min((at for at in times if at > now), default=now + self._failure.heartbeat)
