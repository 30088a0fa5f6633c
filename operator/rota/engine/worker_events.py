"""What a worker is told and what it asks for, as values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rota.core.observed import Outcome
from rota.core.planning.actions import Action
from rota.engine.calls import Answer, Call
from rota.engine.port import ContainerEvent, EngineError


class Lane(StrEnum):
    """Which of the runner's threads make a call: watching never queues behind work, nor work behind pulls,
    nor checks of ports and questions for last words behind either.

    Watching takes three threads: a list that lasts must not hold up the two probes that may be under way.
    """

    WATCH = "watch"
    WORK = "work"
    PULL = "pull"
    CHECK = "check"


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
    """Something happened to a container of the fleet; only a list says how it is now."""

    event: ContainerEvent


@dataclass(frozen=True, slots=True)
class StreamBroke:
    """The event stream ended, or could not be opened."""

    error: EngineError


WorkerEvent = Woke | Submitted | Answered | Failed | StreamOpened | Stirred | StreamBroke


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What follows from an event. `listen` asks for the event stream, `wake_at` for a `Woke`."""

    calls: tuple[Asked, ...]
    outcomes: tuple[Outcome, ...]
    listen: bool
    wake_at: float


def actions_by_host(actions: Iterable[Action]) -> dict[str, tuple[Action, ...]]:
    """The actions of each host, in the order of the decision."""
    result: dict[str, tuple[Action, ...]] = {}
    for action in actions:
        result[action.host] = (*result.get(action.host, ()), action)
    return result
