"""One host's worker: a state machine without threads, clocks or sockets.

`advance(event, now)` takes what happened and returns the calls to make. It holds the host's view,
what was submitted, and when to ask again. Monotonic seconds throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from rota.core.model import FailureSettings
from rota.core.observed import (
    ContainerState,
    EngineFacts,
    Foreign,
    HostState,
    HostView,
    ObservedContainer,
    Outcome,
)
from rota.core.planning.actions import Action
from rota.core.planning.back_off import delay
from rota.engine import labels
from rota.engine.calls import Answer, AskFacts, Call, ListContainers, Ping, Pull
from rota.engine.port import EngineError, ListedContainer, Trouble
from rota.engine.workbench import Workbench

COALESCE_SECONDS = 0.05
"""Events that come within this time share one list."""
SETTLE_SECONDS = (0.5, 2.0)
"""Lists again after the last event: an Engine tells of a death before its own list shows it."""
RELIST_SECONDS = 30.0
"""A full list at least this often, for what an event stream may have lost."""
BUSY_RELIST_SECONDS = 1.0
"""The same while work is under way, whose end only a list shows."""
LIST_SHARE = 0.1
"""Lists take about this share of a busy Engine's time, however many events there are."""
UNREACHABLE_SECONDS = 10.0
"""Silent for this long: unreachable. Suspect comes earlier, as the Fleet says; unreachable is never first."""
LONGEST_PROBE_SECONDS = 5.0
CONFLICT_SECONDS = 300.0
"""How long a foreign container that has the name of one of ours is remembered after it stood in the way."""
NAME_IS_TAKEN = "has the name of one of ours and is not Rota's; it is left alone"


class Lane(StrEnum):
    """Which of the runner's threads make a call: watching never queues behind work, nor work behind pulls."""

    WATCH = "watch"
    WORK = "work"
    PULL = "pull"


@dataclass(frozen=True, slots=True)
class Asked:
    """A call to make. Its answer comes back as `Answered` or `Failed` with the same number."""

    number: int
    lane: Lane
    call: Call


@dataclass(frozen=True, slots=True)
class Woke:
    """The time that the last step asked for has come."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The actions that are wanted now. What is queued and no longer among them is withdrawn.

    `held`: nothing may be changed. What has begun stays where it is, and goes on when the hold ends.
    """

    actions: tuple[Action, ...]
    held: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    number: int
    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    number: int
    error: EngineError


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The event stream stands: from now on nothing is missed."""


@dataclass(frozen=True, slots=True)
class Stirred:
    """A container of the fleet changed in some way; only a list says how."""


@dataclass(frozen=True, slots=True)
class StreamBroke:
    error: EngineError


WorkerEvent = Woke | Submitted | Answered | Failed | StreamOpened | Stirred | StreamBroke


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from an event. `listen` asks for the event stream, `wake_at` for a `Woke`."""

    calls: tuple[Asked, ...]
    outcomes: tuple[Outcome, ...]
    listen: bool
    wake_at: float


class HostWorker:
    """Watches one host and carries out what is submitted, at most 8 calls at a time."""

    def __init__(self, name: str, fleet: str, uid: str, failure: FailureSettings) -> None:
        self.view = HostView(name=name)
        self._fleet = fleet
        self._uid = uid
        self._failure = failure
        self._unreachable_after = max(UNREACHABLE_SECONDS, failure.suspect_after + failure.heartbeat)
        self._bench = Workbench(name)
        self._number = 0
        self._watching: dict[int, Call] = {}
        self._listed: tuple[ListedContainer, ...] = ()
        self._conflicts: dict[str, float] = {}
        self._facts: EngineFacts | None = None
        self._trouble = "has not answered yet"
        self._refused = ""
        self._stream: bool | None = False  # None while it is being opened
        self._stream_due = 0.0
        self._list_due = 0.0
        self._settle_due: tuple[float, ...] = ()
        self._list_asked_at = 0.0
        self._list_seconds = 0.0
        self._listed_once = False
        self._probe_due = 0.0
        self._silent_probes = 0
        self._last_answer: float | None = None
        self._last_step: float | None = None
        self._born: float | None = None

    @property
    def at_rest(self) -> bool:
        """Nothing is under way or expected: what comes next are heartbeats, full lists and fresh probes."""
        quiet = not self._watching and not self._bench.busy and not self._bench.awaits_list
        if self.view.state is HostState.UNREACHABLE:
            return quiet
        listened = self._stream is True and not self._settle_due and self._list_due == float("inf")
        return quiet and listened and self.view.state is HostState.REACHABLE

    def advance(self, event: WorkerEvent, now: float) -> Step:
        """One step. `now` never goes back."""
        self._born = now if self._born is None else self._born
        self._forgive_oversleep(now)
        match event:
            case Submitted(actions, held):
                self._bench.submit(actions, held=held)
            case Answered(number, answer):
                self._heard(now)
                self._answered(number, answer, now)
            case Failed(number, error):
                self._failed(number, error, now)
            case StreamOpened():
                self._stream = True
                self._list_due = now
            case StreamBroke(error):
                self._stream = False
                self._stream_due = now + self._failure.heartbeat
                self._list_due = min(self._list_due, now)
                self._trouble = str(error)
            case Stirred():
                self._stir(now)
                self._settle_due = tuple(now + seconds for seconds in SETTLE_SECONDS)
            case Woke():
                pass
        self._judge(now)
        calls = self._watch(now)
        calls += self._work(now)
        listen = self._stream is False and self._facts is not None and now >= self._stream_due
        if listen:
            self._stream = None
        self._conflicts.update(dict.fromkeys(self._bench.take_conflicts(), now))
        outcomes = self._bench.take_outcomes()
        if outcomes or self._bench.wants_list:
            self._bench.wants_list = False
            self._stir(now)
        self._refresh_view()
        return Step(calls=tuple(calls), outcomes=outcomes, listen=listen, wake_at=self._wake_at(now))

    def _forgive_oversleep(self, now: float) -> None:
        """A loop that did not run for a while heard nobody: that is no host's fault."""
        if self._last_step is not None and self._last_answer is not None:
            gap = now - self._last_step
            if gap > self._failure.suspect_after:
                self._last_answer += gap
        self._last_step = now

    def _heard(self, now: float) -> None:
        self._last_answer, self._trouble = now, "does not answer"
        self._silent_probes = 0
        self._probe_due = now + self._failure.heartbeat

    def _stir(self, now: float) -> None:
        """List soon, but never so often that listing becomes the Engine's work."""
        rest = self._list_seconds / LIST_SHARE if self._bench.busy else 0.0
        at = self._list_asked_at + min(rest, BUSY_RELIST_SECONDS)
        self._list_due = min(self._list_due, max(now + COALESCE_SECONDS, at))

    def _list_at(self) -> float:
        """When to list next, whatever happens."""
        relist = BUSY_RELIST_SECONDS if self._bench.awaits_list else RELIST_SECONDS
        return min(self._list_due, self._list_asked_at + relist, *self._settle_due)

    def _answered(self, number: int, answer: Answer, now: float) -> None:
        call = self._watching.pop(number, None)
        if call is None:
            self._bench.answered(number, answer, now)
        elif isinstance(call, AskFacts):
            assert isinstance(answer, EngineFacts)
            self._facts, self._refused = answer, ""
            self._list_due = now
        elif isinstance(call, ListContainers):
            assert isinstance(answer, tuple)
            self._list_seconds = now - self._list_asked_at
            self._listed, self._listed_once = answer, True
            self._bench.seen(number, {one.id: one.state for one in answer}, now)
            self._adopt_list(now)

    def _adopt_list(self, now: float) -> None:
        self._conflicts = {name: at for name, at in self._conflicts.items() if now - at < CONFLICT_SECONDS}
        containers, foreign = [], []
        for listed in self._listed:
            read = labels.read(listed, self._uid, self.view, now)
            if isinstance(read, ObservedContainer):
                if read.state is ContainerState.CREATED and read.name in self._bench.starting:
                    read = replace(read, state=ContainerState.PENDING)
                containers.append(read)
            else:
                foreign.append(read)
        fresh = replace(
            self.view,
            listed=True,
            containers=tuple(sorted(containers, key=lambda one: (one.workload, one.slot, one.name))),
            foreign=tuple(sorted([*foreign, *(Foreign(name, NAME_IS_TAKEN) for name in self._conflicts)])),
        )
        if fresh != self.view:  # an unchanged view keeps its identity: nobody is woken for it
            self.view = fresh

    def _failed(self, number: int, error: EngineError, now: float) -> None:
        answered = error.trouble not in (Trouble.REFUSED, Trouble.SILENT, Trouble.LOST)
        if answered:
            self._heard(now)
        call = self._watching.pop(number, None)
        if call is not None or not answered:
            self._trouble = str(error)
        if call is None:
            self._bench.failed(number, error, now)
            if not answered:
                self._list_due = min(self._list_due, now + COALESCE_SECONDS)
            return
        if error.trouble is Trouble.UNUSABLE:
            self._refused, self._facts = str(error), None
        if isinstance(call, ListContainers):
            self._list_due = now + self._failure.heartbeat
        elif not answered:
            self._silent_probes += 1
            self._facts = None
        self._probe_due = now + self._probe_delay()

    def _probe_delay(self) -> float:
        """Heartbeats at first, rarer while nobody answers, with a jitter that replays."""
        if self._silent_probes == 0 and not self._refused:
            return self._failure.heartbeat
        longest = max(LONGEST_PROBE_SECONDS, self._failure.heartbeat)
        return min(delay(max(self._silent_probes, 1), self.view.name) * self._failure.heartbeat, longest)

    def _judge(self, now: float) -> None:
        """The host's state follows from when it was heard last."""
        assert self._born is not None
        silence = now - (self._last_answer if self._last_answer is not None else self._born)
        if self._refused and silence < self._unreachable_after:
            state, detail = HostState.REFUSED, self._refused
        elif self._last_answer is None and silence < self._failure.suspect_after:
            state, detail = HostState.UNKNOWN, ""
        elif silence >= self._unreachable_after or self._last_answer is None:
            state, detail = HostState.UNREACHABLE, self._trouble
        elif silence >= self._failure.suspect_after:
            state, detail = HostState.SUSPECT, self._trouble
        elif self._facts is None or not self._listed_once:
            if self._list_due == float("inf") and not self._lists():
                self._list_due = now
            if self.view.state is not HostState.UNKNOWN or now - self._born < self._failure.suspect_after:
                return  # heard again, but not yet looked at: the state before holds until its list is in
            state, detail = HostState.UNREACHABLE, self._trouble
        else:
            state, detail = HostState.REACHABLE, ""
        if state is not HostState.REACHABLE:
            self._listed_once = False
            self._bench.abandon(detail or "the host was not seen yet", now)
        if (state, detail) != (self.view.state, self.view.detail):
            since = now if state is not self.view.state else self.view.since
            self.view = replace(self.view, state=state, detail=detail, since=since)

    def _lists(self) -> bool:
        """Whether a list is under way."""
        return any(isinstance(call, ListContainers) for call in self._watching.values())

    def _watch(self, now: float) -> list[Asked]:
        """Facts after a silence, a list when something stirred, a ping when nothing was heard."""
        in_flight = {type(call) for call in self._watching.values()}
        calls: list[Call] = []
        if self._facts is None:
            if AskFacts not in in_flight and now >= self._probe_due:
                calls.append(AskFacts())
        elif ListContainers not in in_flight and now >= self._list_at():
            calls.append(ListContainers(self._fleet))
            self._list_asked_at, self._list_due = now, float("inf")
            self._settle_due = tuple(at for at in self._settle_due if at > now)
        elif not in_flight and now >= self._probe_due:
            calls.append(Ping())
        asked = [Asked(self._next_number(), Lane.WATCH, call) for call in calls]
        self._watching.update({one.number: one.call for one in asked})
        return asked

    def _work(self, now: float) -> list[Asked]:
        if self.view.state is not HostState.REACHABLE or self._facts is None:
            return []
        asked = []
        for task, call in self._bench.next_calls(now):
            number = self._next_number()
            lane = Lane.PULL if isinstance(call, Pull) else Lane.WORK
            self._bench.asked(task, number)
            asked.append(Asked(number, lane, call))
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
            "engine": self._facts or view.engine,
        }
        if any(getattr(view, name) != value for name, value in fresh.items()):
            self.view = replace(view, **fresh)

    def _wake_at(self, now: float) -> float:
        """The earliest instant at which something is due."""
        suspect_after = self._failure.suspect_after
        heard = self._last_answer if self._last_answer is not None else self._born or now
        times = [self._probe_due, self._bench.wake_at]
        if self._born is not None and self.view.state is HostState.UNKNOWN:
            times.append(self._born + suspect_after)
        if now > heard:
            times.append(now + self._failure.heartbeat)  # a pause would count as a sleep, and be forgiven
        if self._facts is not None:
            times.append(self._list_at())
            if self._stream is False:
                times.append(self._stream_due)
        times += [heard + limit for limit in (suspect_after, self._unreachable_after)]
        return min((at for at in times if at > now), default=now + self._failure.heartbeat)


def actions_by_host(actions: Iterable[Action]) -> dict[str, tuple[Action, ...]]:
    """The actions of each host, in the order of the decision."""
    result: dict[str, tuple[Action, ...]] = {}
    for action in actions:
        result[action.host] = (*result.get(action.host, ()), action)
    return result
