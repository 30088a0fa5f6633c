"""Deaths that nobody of Rota's asked for, by slot and spec, from events and from lists.

A death is held back for a moment: those of an Engine that goes down come just before its stream breaks, and
say nothing of the containers. What is first seen after the stream broke or the host was silent may have ended
with the Engine or the host, and counts no more than that. Monotonic seconds throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rota.core.observed import DEATHS_SECONDS, ContainerState, DeathKey, Deaths, ObservedContainer
from rota.engine.port import ContainerEvent

HOLD_SECONDS = 1.0
"""A death counts when a list that was asked for so much later was answered, and the stream still stands."""
OURS_SECONDS = 60.0
"""So long after Rota stopped a container its end is still taken for Rota's doing."""
BY_HAND_SECONDS = 15.0
"""A signal so shortly before is what it died of. An Engine that is shut down signals its containers too: such
deaths, when its stream breaks so soon after, count no more."""
MOST_DEATHS = 16
MOST_HELD = 256
MOST_MARKS = 4096
TEND_SECONDS = 1.0
BY_HAND = "stopped by hand"
_RUNS = (ContainerState.RUNNING, ContainerState.PAUSED)


class Death(NamedTuple):
    """One that counts."""

    container_id: str
    of: DeathKey


class _One(NamedTuple):
    at: float
    cause: str


class _Seen(NamedTuple):
    key: DeathKey
    runs: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """A death that may come to count, of what was started at `since`. `told` by an event; else only a list
    showed it."""

    container_id: str
    at: float
    since: float
    told: bool
    exit_code: int | None = None


class DeathWatch:
    """The deaths of one host."""

    def __init__(self) -> None:
        self.deaths: Mapping[DeathKey, Deaths] = {}
        self._counted: dict[DeathKey, tuple[_One, ...]] = {}
        self._held: list[_Held] = []
        self._ours: dict[str, float] = {}
        self._marks: dict[tuple[str, str], float] = {}
        self._keys: dict[str, DeathKey] = {}
        self._before: Mapping[str, _Seen] | None = None
        self._before_at = 0.0
        self._tended_at = 0.0

    @property
    def list_at(self) -> float:
        """When a list would decide what is held back."""
        return self._held[0].at + HOLD_SECONDS if self._held else float("inf")

    def stopping(self, container_ids: Iterable[str], now: float) -> None:
        """Rota is stopping these: how they end is its own doing."""
        self._ours.update(dict.fromkeys(container_ids, now))

    def told(self, event: ContainerEvent, now: float) -> None:
        """An event of a container of the fleet."""
        container_id = event.container_id
        if event.action in ("start", "die", "oom", "kill", "stop"):
            self._mark(event.action, container_id, now)
        if event.action == "die" and container_id not in self._ours:
            known = [one for one in self._held if one.container_id == container_id and not one.told]
            if known:  # a list was faster
                self._held.remove(known[0])
            self._hold(container_id, now, told=True, exit_code=event.exit_code)

    def interrupted(self, now: float) -> None:
        """The stream broke, was opened anew, or a call was not answered: what is seen next may have ended
        with the Engine."""
        self._held, self._before = [], None
        for key, ones in self._counted.items():
            self._counted[key] = tuple(
                one for one in ones if one.cause != BY_HAND or now - one.at > BY_HAND_SECONDS
            )
        self._forget(now)

    def listed(
        self, containers: Iterable[ObservedContainer], asked_at: float, now: float
    ) -> tuple[Death, ...]:
        """A list that was asked for at `asked_at` is in; the deaths that count from now on."""
        seen = {one.id: _Seen((one.workload, one.slot, one.spec), one.state in _RUNS) for one in containers}
        self._compare(seen, now)
        self._keys |= {container_id: one.key for container_id, one in seen.items()}
        ripe = [one for one in self._held if one.at + HOLD_SECONDS <= asked_at]
        self._held = [one for one in self._held if one not in ripe]
        deaths = []
        for one in ripe:
            key = self._keys.get(one.container_id)
            if key is not None:
                cause = self._cause(one, gone=one.container_id not in seen)
                self._counted[key] = (*self._counted.get(key, ()), _One(one.at, cause))[-MOST_DEATHS:]
                deaths.append(Death(one.container_id, key))
        self._before, self._before_at = seen, asked_at
        kept = seen.keys() | {one.container_id for one in self._held}
        self._keys = {container_id: key for container_id, key in self._keys.items() if container_id in kept}
        self._forget(now)
        return tuple(deaths)

    def tend(self, now: float) -> None:
        """Forget what is long ago; to be called as often as one likes."""
        if now >= self._tended_at + TEND_SECONDS:
            self._forget(now)

    def _forget(self, now: float) -> None:
        self._tended_at = now
        self._ours = {key: at for key, at in self._ours.items() if now - at < OURS_SECONDS}
        self._marks = {key: at for key, at in self._marks.items() if now - at < OURS_SECONDS}
        self._counted = {
            key: kept
            for key, ones in self._counted.items()
            if (kept := tuple(one for one in ones if now - one.at < DEATHS_SECONDS))
        }
        deaths = {
            key: Deaths(tuple(one.at for one in ones), ones[-1].cause) for key, ones in self._counted.items()
        }
        if deaths != self.deaths:
            self.deaths = deaths

    def _compare(self, seen: Mapping[str, _Seen], now: float) -> None:
        """Hold what ran in the list before, does not run in this one, and of which no event told."""
        held = {one.container_id for one in self._held}
        for container_id, one in (self._before or {}).items():
            after = seen.get(container_id)
            ended = one.runs and (after is None or not after.runs)
            told = self._marked("die", container_id) >= self._before_at
            if ended and not told and container_id not in self._ours and container_id not in held:
                self._hold(container_id, now, told=False)

    def _hold(self, container_id: str, now: float, *, told: bool, exit_code: int | None = None) -> None:
        since = max(self._marked("start", container_id), now - BY_HAND_SECONDS)
        death = _Held(container_id, now, since, told=told, exit_code=exit_code)
        self._held = [*self._held, death][-MOST_HELD:]

    def _mark(self, action: str, container_id: str, now: float) -> None:
        self._marks.pop((action, container_id), None)
        self._marks[action, container_id] = now
        if len(self._marks) > MOST_MARKS:
            del self._marks[next(iter(self._marks))]

    def _marked(self, action: str, container_id: str) -> float:
        """When an event told of `action` last."""
        return self._marks.get((action, container_id), float("-inf"))

    def _cause(self, one: _Held, *, gone: bool) -> str:
        if self._marked("oom", one.container_id) > one.since:
            return "killed for lack of memory"
        if gone and one.container_id not in self._ours:
            return "removed by hand"
        if max(self._marked(action, one.container_id) for action in ("kill", "stop")) > one.since:
            return BY_HAND
        return "ended unseen" if one.exit_code is None else f"exit {one.exit_code}"
