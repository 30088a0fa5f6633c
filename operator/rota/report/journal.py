"""Events: what was done and what was decided not to be, with its cause. Bounded, oldest out first."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable

from rota.core.observed import Now, Outcome
from rota.core.quantities import format_time

MOST_EVENTS = 500


class Journal:
    """The lines of `events.jsonl`."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._lines: deque[str] = deque(lines, maxlen=MOST_EVENTS)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines)

    def add(self, outcomes: Iterable[Outcome], now: Now) -> None:
        """Note how actions ended, at the wall time at which it was learnt."""
        for one in outcomes:
            self._append(
                now,
                event=one.verb,
                result=one.result,
                workload=str(one.workload),
                slot=one.slot,
                host=one.host,
                cause=one.cause,
                message=one.message,
            )

    def note(self, event: str, message: str, now: Now) -> None:
        """Note something that is not the end of an action: a revision applied, an edge, a freeze."""
        self._append(now, event=event, message=message)

    def _append(self, now: Now, **fields: object) -> None:
        row = {"at": format_time(now.wall)} | {key: value for key, value in fields.items() if value != ""}
        self._lines.append(json.dumps(row, sort_keys=True, ensure_ascii=False))
