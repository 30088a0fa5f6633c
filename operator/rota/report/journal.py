"""Events as lines of `events.jsonl`: what was done and what was decided not to be, with its cause.

Bounded, oldest out first. What repeats itself is one line that counts: its `at` is the first time, its `last`
the latest, and it moves to the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from rota.core.event import Event
from rota.core.observed import Now
from rota.core.quantities import format_time

MOST_EVENTS = 500
FOLDED_WITHIN = 100
"""So many lines back a repetition is looked for: what was longer ago than that is told again."""
_SAME = ("object", "event", "slot", "host", "result", "reason", "message", "cause")
"""Two events that differ in none of these are one that happened twice."""
_NUMBER = re.compile(r"(?<![\w.:/-])\d+(?:\.\d+)?(?![\w:/-])")
"""How far what is waited for has got is no other reason to wait; numbers within names are."""

_Key = tuple[object, ...]


class Noted(NamedTuple):
    """A line, and its number: every line that is added or counts on has a higher one than all before it."""

    number: int
    line: str


class Journal:
    """The lines of `events.jsonl`."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._count = 0
        self._rows: dict[int, tuple[str, Mapping[str, Any]]] = {}
        self._newest: dict[_Key, int] = {}
        for line in lines:
            row = read_row(line)
            # What is no event stays as it is: whoever wrote it may be newer, and knows more.
            self._put(_key(row) if row is not None else (line,), row or {}, line)

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(line for line, _ in self._rows.values())

    @property
    def noted(self) -> tuple[Noted, ...]:
        """The lines with their numbers, in order."""
        return tuple(Noted(number, line) for number, (line, _) in self._rows.items())

    def add(self, events: Iterable[Event], now: Now) -> None:
        """Note what happened, at the wall time at which it was learnt."""
        at = format_time(now.wall)
        for one in events:
            row = _row(one, at)
            key = _key(row)
            number = self._newest.get(key)
            if number is not None and self._count - number < FOLDED_WITHIN:
                _, before = self._rows.pop(number)
                count = before.get("count", 1) + one.count
                row = {**row, "at": before["at"], "count": count, "last": at}
            self._put(key, row, json.dumps(row, sort_keys=True, ensure_ascii=False))

    def _put(self, key: _Key, row: Mapping[str, Any], line: str) -> None:
        self._count += 1
        self._rows[self._count] = (line, row)
        self._newest[key] = self._count
        if len(self._rows) > MOST_EVENTS:
            oldest = next(iter(self._rows))
            _, left = self._rows.pop(oldest)
            if self._newest.get(_key(left)) == oldest:
                del self._newest[_key(left)]


def read_row(line: str) -> dict[str, Any] | None:
    """A line as fields, that of an older Rota with the names of today; None where it is no event."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(row, dict)
        or not isinstance(row.get("at"), str)
        or not isinstance(row.get("event"), str)
    ):
        return None
    if "workload" in row:  # before events had an object
        row["object"] = f"Service {row.pop('workload')}"
    row.setdefault("object", "Fleet")
    return row


def _row(one: Event, at: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "at": at,
        "event": one.event,
        "object": one.object,
        "slot": one.slot,
        "host": one.host,
        "cause": one.cause,
        "causeKind": one.cause_kind,
        "result": one.result,
        "reason": one.reason,
        "message": one.message,
        "count": one.count if one.count > 1 else None,
    }
    return {key: value for key, value in fields.items() if value not in ("", None)}


def _key(row: Mapping[str, Any]) -> _Key:
    key = {field: str(row.get(field, "")) for field in _SAME}
    if key["event"] == "wait":
        key["message"] = _NUMBER.sub("#", key["message"])
    return tuple(key.values())
