"""What a worker has in hand: queued actions, running tasks, and finished ones not yet seen in a list.

The queue is replaced by every submission; what has begun goes on. An action stays here until a list
that was asked for after its end has come in, so that nobody asks for it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rota.core.ids import WorkloadId
from rota.core.observed import ContainerState, ObservedContainer, Outcome, Result, SlotKey
from rota.core.planning.actions import (
    Action,
    PrepareImage,
    ResolveImage,
    RestartInstance,
    StartInstance,
    StopInstance,
    container_of,
)
from rota.core.planning.back_off import delay
from rota.engine.calls import Answer, AskRegistry, Call, Create, LookForImage, Pull, SetRestarts
from rota.engine.liveness import UNANSWERED
from rota.engine.port import EngineError, Trouble
from rota.engine.tasks import AllowRestarts, AwaitExit, ForeignName, Task, task_for

MOST_CALLS = 8
"""Calls in flight per host; more gain nothing, the Engine is busy."""
MOST_PULLS = 2
MOST_REGISTRY_ASKS = 2
"""Of those calls, so many may ask a registry: one that hangs must not hold up the work."""
_RUNS = (ContainerState.RUNNING, ContainerState.RESTARTING, ContainerState.PAUSED)
_Errand = Action | AllowRestarts


@dataclass(slots=True, kw_only=True)
class _Running:
    action: _Errand
    task: Task
    begun: float
    call: Call | None = None
    number: int | None = None
    waits: AwaitExit | None = None
    waits_since: int = 0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Finished:
    action: _Errand
    number: int
    at: float


@dataclass(frozen=True, slots=True)
class _Cooling:
    count: int
    until: float


class Workbench:
    """The tasks of one host."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._queue: tuple[_Errand, ...] = ()
        self._without_restarts: set[str] = set()
        self._held = False
        self._running: dict[str, _Running] = {}
        self._finished: dict[str, _Finished] = {}
        self._cooling: dict[str, _Cooling] = {}
        self._outcomes: list[Outcome] = []
        self._conflicts: list[str] = []
        self.latest = 0
        """The number of the worker's latest call: a list with a higher number is newer than what ends now."""
        self.images: frozenset[str] = frozenset()
        self.restartable: Mapping[str, SlotKey] = {}
        """The containers that run and that their Engine is to bring back, by id; whoever lists keeps it."""
        self.wants_list = False
        """Whether something began to wait for what a list shows; whoever lists soon resets it."""

    @property
    def busy(self) -> bool:
        return bool(self._running or self._queue)

    @property
    def awaits_list(self) -> bool:
        """Whether a list would end something: an exit that is waited for, an end that is not seen yet."""
        return bool(self._finished) or any(one.waits is not None for one in self._running.values())

    @property
    def stopping(self) -> frozenset[str]:
        actions = [one.action for one in self._running.values()]
        actions += [one.action for one in self._finished.values()]
        return frozenset(action.container_id for action in actions if isinstance(action, StopInstance))

    @property
    def starting(self) -> frozenset[str]:
        """Names of containers whose start is under way or newer than the list: created is not its end."""
        actions = [one.action for one in self._running.values()]
        actions += [one.action for one in self._finished.values()]
        return frozenset(action.name for action in actions if isinstance(action, StartInstance))

    @property
    def queued(self) -> frozenset[tuple[WorkloadId, int, str]]:
        """The starts that have not begun, as (workload, slot, spec)."""
        starts = (action for action in self._queue if isinstance(action, StartInstance))
        return frozenset((action.workload, action.slot, action.spec) for action in starts)

    @property
    def pulling(self) -> frozenset[str]:
        return frozenset(one.call.image for one in self._running.values() if isinstance(one.call, Pull))

    @property
    def wake_at(self) -> float:
        """When a wait for an exit ends, or a cooling action may be tried again."""
        waits = [one.until for one in self._running.values() if one.waits is not None]
        cooling = [self._cooling[action.id].until for action in self._queue if action.id in self._cooling]
        return min([*waits, *cooling], default=float("inf"))

    def pending(self, listed_names: set[str]) -> tuple[ObservedContainer, ...]:
        """Containers asked for and not listed yet, as decisions have to count them."""
        begun = [
            (one.action, one.begun) for one in self._running.values() if isinstance(one.action, StartInstance)
        ]
        begun += [
            (one.action, one.at) for one in self._finished.values() if isinstance(one.action, StartInstance)
        ]
        return tuple(
            _as_pending(action, at)
            for action, at in sorted(begun, key=lambda pair: pair[0].id)
            if isinstance(action, StartInstance) and action.name not in listed_names
        )

    def submit(self, actions: tuple[Action, ...], *, held: bool = False) -> None:
        """Replace the queue by what is wanted now and has not begun. `held` halts what has begun, too."""
        self._held = held
        wanted = (*self._no_longer_stopped(actions), *actions)
        begun = self._running.keys() | self._finished.keys()
        self._queue = tuple(action for action in wanted if action.id not in begun)

    def _no_longer_stopped(self, actions: tuple[Action, ...]) -> list[AllowRestarts]:
        """What gets its restart policy back: it runs, and its stop was begun, does not go on and unwanted."""
        stops = {action.container_id for action in actions if isinstance(action, StopInstance)}
        return [
            AllowRestarts(workload=slot[0], slot=slot[1], container_id=container_id)
            for container_id in sorted(self._without_restarts - stops - self.stopping)
            if (slot := self.restartable.get(container_id)) is not None
        ]

    def next_calls(self, now: float) -> list[tuple[str, Call]]:
        """The calls to make now: of running tasks that wait for a turn, then of queued actions."""
        if self._held:
            return []
        self._end_waits(now)
        self._begin(now)
        flying = sum(
            one.number is not None and not isinstance(one.call, Pull) for one in self._running.values()
        )
        pulls = {
            one.call.image for one in self._running.values() if one.number and isinstance(one.call, Pull)
        }
        registry = sum(
            one.number is not None and isinstance(one.call, AskRegistry) for one in self._running.values()
        )
        calls: list[tuple[str, Call]] = []
        for name, one in self._running.items():
            if one.call is None or one.number is not None:
                continue
            if isinstance(one.call, Pull):
                if one.call.image not in pulls and len(pulls) < MOST_PULLS:
                    pulls.add(one.call.image)
                    calls.append((name, one.call))
            elif isinstance(one.call, AskRegistry) and registry >= MOST_REGISTRY_ASKS:
                continue
            elif flying < MOST_CALLS:
                registry += isinstance(one.call, AskRegistry)
                flying += 1
                calls.append((name, one.call))
        return calls

    def asked(self, name: str, number: int) -> None:
        one = self._running[name]
        one.number = number
        if isinstance(one.call, SetRestarts) and not one.call.restarts:
            self._without_restarts.add(one.call.container_id)

    def asks_registry(self, number: int) -> bool:
        """Whether a call waits for a registry, so that its silence says nothing of the host."""
        calls = (one.call for one in self._running.values() if one.number == number)
        return any(isinstance(call, Pull | AskRegistry) for call in calls)

    def answered(self, number: int, answer: Answer, now: float) -> None:
        for name, one in self._with_number(number):
            self._learn(one.call, answer)
            self._resume(name, answer, now)

    def failed(self, number: int, error: EngineError, now: float) -> None:
        for name, one in self._with_number(number):
            if error.trouble is Trouble.NO_IMAGE and isinstance(one.call, Create):
                self.images -= {one.call.image}
            self._resume(name, error, now)

    def seen(self, number: int, states: Mapping[str, ContainerState], now: float) -> None:
        """A list that was asked for as call `number` is in: drop what it shows, end what waited for it."""
        self._finished = {name: one for name, one in self._finished.items() if one.number >= number}
        self._without_restarts &= states.keys()
        for name, one in list(self._running.items()):
            # An older list does not show a container that was started since: absent there is not ended.
            newer = one.waits is not None and one.waits_since < number
            if newer and one.waits is not None and states.get(one.waits.container_id) not in _RUNS:
                self._resume(name, True, now)

    def abandon(self, why: str, now: float, *, lost: bool = False) -> None:
        """The host does not answer: nothing is begun, and what only waited is left to the next view.

        Calls under way end by themselves, in a deadline. Pulls have a long one and change no container: of a
        `lost` host they are given up.
        """
        self._queue = ()
        for name, one in list(self._running.items()):
            if one.number is None or (lost and isinstance(one.call, Pull)):
                self._end(name, Result.UNKNOWN, why, now)

    def take_outcomes(self) -> tuple[Outcome, ...]:
        outcomes, self._outcomes = tuple(self._outcomes), []
        return outcomes

    def take_conflicts(self) -> list[str]:
        conflicts, self._conflicts = self._conflicts, []
        return conflicts

    def _with_number(self, number: int) -> list[tuple[str, _Running]]:
        """The task whose call this was, and those that wait for the same pull."""
        asked = next((one for one in self._running.values() if one.number == number), None)
        if asked is None:
            return []
        shared = asked.call if isinstance(asked.call, Pull) else None
        return [
            (name, one)
            for name, one in list(self._running.items())
            if one is asked or (shared is not None and one.call == shared and one.number is None)
        ]

    def _begin(self, now: float) -> None:
        """Start queued actions while there are calls to spare, one per turn at a time."""
        turns = {_turn(one.action) for one in self._running.values()}
        rest = []
        for action in self._queue:
            cooling = self._cooling.get(action.id)
            turn = _turn(action)
            active = sum(
                one.waits is None and not isinstance(one.call, Pull | AskRegistry)
                for one in self._running.values()
            )
            if turn in turns or active >= MOST_CALLS or (cooling is not None and cooling.until > now):
                rest.append(action)
                continue
            turns.add(turn)
            self._running[action.id] = _Running(action=action, task=task_for(action), begun=now)
            self._resume(action.id, None, now)
        self._queue = tuple(rest)

    def _resume(self, name: str, answer: Answer | EngineError, now: float) -> None:
        """Give a task its answer and note what it asks for next."""
        one = self._running[name]
        pulled = isinstance(one.call, Pull)
        one.call, one.number, one.waits = None, None, None
        try:
            asks = one.task.throw(answer) if isinstance(answer, EngineError) else one.task.send(answer)
        except StopIteration as done:
            self._end(name, Result.DONE, "", now, image=str(done.value))
        except EngineError as error:
            if isinstance(error, ForeignName):
                self._conflicts.append(error.name)
            # A pull changes nothing that has to be looked at: one without an answer has failed.
            unknown = not pulled and error.trouble in UNANSWERED
            self._end(name, Result.UNKNOWN if unknown else Result.FAILED, str(error), now)
        else:
            if isinstance(asks, AwaitExit):
                one.waits, one.waits_since, one.until = asks, self.latest, now + asks.seconds
                self.wants_list = True
            else:
                one.call = asks

    def _end_waits(self, now: float) -> None:
        """Tell the waits whose time is over that the container has not ended."""
        for name, one in list(self._running.items()):
            if one.waits is not None and now >= one.until:
                self._resume(name, False, now)

    def _end(self, name: str, result: Result, message: str, now: float, image: str = "") -> None:
        one = self._running.pop(name)
        one.task.close()
        if not isinstance(one.action, AllowRestarts):
            self._outcomes.append(self._outcome(one.action, result, message, image))
        if isinstance(one.action, PrepareImage) and result is Result.DONE:
            self.images |= {one.action.image}
        if result is Result.FAILED:
            count = self._cooling[name].count + 1 if name in self._cooling else 1
            self._cooling[name] = _Cooling(count, now + delay(count, f"{self._host} {name}"))
        else:
            self._cooling.pop(name, None)
            self._finished[name] = _Finished(one.action, self.latest, one.begun)
        if len(self._cooling) > 1000:
            self._cooling = {key: value for key, value in self._cooling.items() if value.until > now}

    def _outcome(self, action: Action, result: Result, message: str, image: str) -> Outcome:
        return Outcome(
            action=action.id,
            verb=verb_of(action),
            host=self._host,
            workload=action.workload,
            slot=action.slot,
            spec=action.spec,
            result=result,
            cause=action.cause,
            message=message,
            sick=isinstance(action, StopInstance) and action.sick,
            image=image,
        )

    def _learn(self, call: Call | None, answer: Answer) -> None:
        match call:
            case Pull(image):
                self.images |= {image}
            case LookForImage(image) if answer:
                self.images |= {image}
            case Create():
                self.images |= {call.image}
            case SetRestarts(container_id, True):
                self._without_restarts.discard(container_id)
            case _:
                pass


def verb_of(action: Action) -> str:
    """The word for an action in outcomes, logs and events."""
    match action:
        case StartInstance():
            return "start"
        case RestartInstance():
            return "restart"
        case StopInstance():
            return "stop"
        case ResolveImage():
            return "resolve"
        case PrepareImage():
            return "image"


def _turn(errand: _Errand) -> tuple[WorkloadId, int, bool]:
    """What only one task at a time may have: a slot, and apart from it the image that is fetched for it. A
    pull that hangs lasts for minutes, and must hold up neither a stop nor a restart."""
    return errand.workload, errand.slot, isinstance(errand, PrepareImage | ResolveImage)


def _as_pending(action: StartInstance, since: float) -> ObservedContainer:
    made = container_of(action, f"pending:{action.name}", ContainerState.PENDING)
    return replace(made, seen_since=since)
