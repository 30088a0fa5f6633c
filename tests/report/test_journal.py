"""The journal: what repeats itself is counted, what is too much goes, and what was written stays readable."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from rota.core.event import Event
from rota.core.observed import Now
from rota.report.event_lines import event_line, read_events
from rota.report.journal import FOLDED_WITHIN, MOST_EVENTS, Journal
from tests.core.scenes import NOW

START = Event(
    event="start",
    object="Service shop/web",
    slot=3,
    host="h1",
    result="done",
    reason="Started",
    cause="window shop/day-night/day",
)
OLD = (
    '{"at": "2026-05-01T10:00:00Z", "cause": "commit 1111111", "event": "stop", "host": "h1", '
    '"result": "failed", "slot": 0, "workload": "shop/web", "message": "refused"}'
)


def at(seconds: int) -> Now:
    return Now(wall=NOW.wall + timedelta(seconds=seconds), mono=NOW.mono + seconds)


def rows(journal: Journal) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.lines]


def test_how_far_it_got_is_no_other_reason_to_wait() -> None:
    journal = Journal()
    wait = replace(START, event="wait", result="", reason="NoSeat")
    journal.add([replace(wait, message="db, which it depends on, has 1 of 3 healthy")], at(0))
    journal.add([replace(wait, message="db, which it depends on, has 2 of 3 healthy")], at(5))
    (row,) = rows(journal)
    assert (row["count"], row["message"]) == (2, "db, which it depends on, has 2 of 3 healthy")
    journal.add([replace(wait, message="room on h1 is being freed")], at(6))
    journal.add([replace(wait, message="room on h2 is being freed")], at(7))
    assert len(rows(journal)) == 3, "another host is another reason"


def other(number: int) -> Event:
    return Event(event="host", object=f"Host h{number}", host=f"h{number}", reason="HostLost")


def test_a_line_has_sorted_keys_and_nothing_empty() -> None:
    journal = Journal()
    journal.add([START], at(0))
    assert journal.lines == (
        (
            '{"at": "2026-06-01T12:00:00Z", "cause": "window shop/day-night/day", "causeKind": "edge", '
            '"event": "start", "host": "h1", "object": "Service shop/web", "reason": "Started", '
            '"result": "done", "slot": 3}'
        ),
    )


def test_what_happens_again_counts_and_moves_to_the_end() -> None:
    journal = Journal()
    journal.add([START, other(1)], at(0))
    journal.add([START], at(5))
    journal.add([START], at(9))
    last = rows(journal)[-1]
    assert [row["object"] for row in rows(journal)] == ["Host h1", "Service shop/web"]
    assert (last["at"], last["last"], last["count"]) == ("2026-06-01T12:00:00Z", "2026-06-01T12:00:09Z", 3)


def test_another_slot_result_or_cause_is_another_event() -> None:
    journal = Journal()
    differing = [
        replace(START, slot=4),
        replace(START, result="failed"),
        replace(START, cause="commit 2222222"),
        replace(START, host="h2"),
        replace(START, message="late"),
    ]
    journal.add([START, *differing], at(0))
    assert len(journal.lines) == 6


def test_what_was_long_ago_is_told_again() -> None:
    journal = Journal()
    journal.add([START, *map(other, range(FOLDED_WITHIN)), START], at(0))
    assert len(journal.lines) == FOLDED_WITHIN + 2
    journal.add([START], at(1))
    assert rows(journal)[-1]["count"] == 2
    assert len(journal.lines) == FOLDED_WITHIN + 2


def test_the_oldest_go_first() -> None:
    journal = Journal()
    for number in range(3 * MOST_EVENTS):
        journal.add([other(number)], at(number))
    kept = [row["object"] for row in rows(journal)]
    assert kept == [f"Host h{number}" for number in range(2 * MOST_EVENTS, 3 * MOST_EVENTS)]


def test_numbers_only_grow_and_tell_what_is_new() -> None:
    journal = Journal()
    journal.add([START, other(1)], at(0))
    known = journal.noted[-1].number
    journal.add([START], at(1))
    new = [one for one in journal.noted if one.number > known]
    assert [json.loads(one.line)["count"] for one in new] == [2]


def test_a_journal_goes_on_from_its_own_lines() -> None:
    first = Journal()
    first.add([START, other(1)], at(0))
    second = Journal(first.lines)
    assert second.lines == first.lines
    second.add([START], at(7))
    assert (rows(second)[-1]["count"], rows(second)[-1]["last"]) == (2, "2026-06-01T12:00:07Z")


def test_lines_of_an_older_rota_and_damaged_ones_stay() -> None:
    lines = (OLD, OLD, "not json", '{"a": 1}', "[" * 100_000)
    journal = Journal(lines)
    assert journal.lines == lines
    journal.add([START], at(0))
    read = read_events("\n".join(journal.lines).encode())
    assert [row["object"] for row in read] == ["Service shop/web"] * 3
    assert event_line(read[0]) == (
        "2026-05-01T10:00:00Z  stop-failed  Service shop/web/0 on h1: refused (commit 1111111)"
    )


def test_a_line_for_people_says_how_often() -> None:
    journal = Journal()
    journal.add([START], at(0))
    journal.add([START], at(60))
    assert event_line(rows(journal)[0]) == (
        "2026-06-01T12:01:00Z  Started  Service shop/web/3 on h1 (window shop/day-night/day), 2 times since "
        "2026-06-01T12:00:00Z"
    )


def test_a_line_for_people_is_one_line() -> None:
    row = {"at": "2026-06-01T12:00:00Z", "event": "start", "object": "Fleet", "message": "a\nb\x1b[31m"}
    assert event_line(row) == "2026-06-01T12:00:00Z  start  Fleet: a\\nb\\x1b[31m"
