"""The last lines of what died, turned unhealthy, or is stopped because it never became healthy.

Asked for once, kept by slot, forgotten in time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from rota.core.observed import Health, ObservedContainer, SlotKey
from rota.engine.calls import AskLastWords

LINES = 10
LINE_LENGTH = 200
ASK_SECONDS = 10.0
"""Of one container at most once in so long."""
FORGET_SECONDS = 300.0
"""What is told of a slot is forgotten when it has been healthy, or gone, for so long."""
MOST_WAITING = 64
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x1f\x7f-\x9f]")


class LastWords:
    """The last words on one host, and the questions for them that are due."""

    def __init__(self) -> None:
        self.words: Mapping[SlotKey, tuple[str, ...]] = {}
        self._waiting: list[str] = []
        self._asked: dict[str, tuple[float, SlotKey]] = {}
        self._gone: dict[SlotKey, float] = {}

    def want(self, container_id: str, slot: SlotKey, now: float) -> None:
        """It has died or does not serve. Left out where it was asked a moment ago, or too many wait."""
        before = self._asked.get(container_id)
        if len(self._waiting) < MOST_WAITING and (before is None or now - before[0] >= ASK_SECONDS):
            self._asked[container_id] = now, slot
            self._waiting.append(container_id)

    def take_calls(self) -> list[AskLastWords]:
        """What is to be asked now."""
        waiting, self._waiting = self._waiting, []
        return [AskLastWords(container_id, LINES) for container_id in waiting]

    def answered(self, container_id: str, lines: Iterable[str]) -> None:
        told = tuple(_CONTROL.sub("", line).rstrip()[:LINE_LENGTH] for line in lines)[-LINES:]
        if container_id in self._asked and any(told):
            self.words = {**self.words, self._asked[container_id][1]: told}

    def tend(self, containers: Iterable[ObservedContainer], now: float) -> None:
        """Forget what was told of slots that have recovered, or left, long ago."""
        if not self.words and not self._asked:
            return
        ready: dict[SlotKey, float] = {}
        for one in containers:
            slot, since = (one.workload, one.slot), now if one.ready_since is None else one.ready_since
            ready[slot] = max(ready.get(slot, since), since)
        self._asked = {key: asked for key, asked in self._asked.items() if now - asked[0] < FORGET_SECONDS}
        self._gone = {slot: self._gone.get(slot, now) for slot in self.words if slot not in ready}
        over = ready | self._gone
        kept = {slot: lines for slot, lines in self.words.items() if now - over[slot] < FORGET_SECONDS}
        if kept != self.words:
            self.words = kept


def turned_unhealthy(
    before: Iterable[ObservedContainer], after: Iterable[ObservedContainer]
) -> list[ObservedContainer]:
    """Those of `after` that are unhealthy and were not, or were not seen."""
    known = {one.id: one.health for one in before}
    return [
        one for one in after if one.health is Health.UNHEALTHY and known.get(one.id) is not Health.UNHEALTHY
    ]
