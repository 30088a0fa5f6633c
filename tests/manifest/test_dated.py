"""Findings that depend on the date, and what is compared between windows of dates and schedules."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter

import pytest

from rota.manifest import overlaps
from rota.manifest.checks import dated_findings
from tests.manifest.trees import FLEET, OVERRIDE, SERVICE, edited, load, told

BASE = {"fleet.yaml": FLEET, "web.yaml": SERVICE}
MEND = "Give one of them a higher priority, or other hours."
IDLE = edited(SERVICE, "spec:\n", "spec:\n  replicas: 0\n")


def policy(*windows: str, name: str = "p", zone: str = "Europe/Berlin") -> str:
    """A policy of windows for web, each by what it states besides its name and replicas."""
    head = f"""\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {{name: {name}, namespace: shop}}
spec:
  timeZone: {zone}
  windows:
"""
    lines = (f"    - {{name: w{at}, replicas: {{web: 1}}, {window}}}\n" for at, window in enumerate(windows))
    return head + "".join(lines)


def findings(files: dict[str, str], now: str) -> list[str]:
    loaded = load(files)
    assert loaded.problems == ()
    assert loaded.fleet is not None
    found = dated_findings(loaded.fleet, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert all(one.severity == "warning" for one in found)
    return [str(one) for one in found]


DAY = 'days: [mon, tue, wed, thu, fri], start: "07:00", end: "20:00"'
NIGHT = 'schedule: "0 22 * * *", duration: 8h'
XMAS = 'start: "07:00", end: "20:00", also: {dates: [2026-12-24]}'


@pytest.mark.parametrize(
    ("first", "second", "when"),
    [
        (DAY, XMAS, "such as 2026-12-24 07:00 to 20:00 Europe/Berlin"),
        (f"{DAY}, except: {{dates: [2026-12-24]}}", XMAS, ""),
        (f"{DAY}, except: {{dates: [2026-12-24]}}", DAY, "such as 2026-01-01 07:00 to 20:00 Europe/Berlin"),
        (DAY, NIGHT, ""),
        # Eight hours that pass end an hour later on the spring night.
        (
            'days: [sun], start: "06:00", end: "20:00"',
            NIGHT,
            "such as 2026-03-29 06:00 to 07:00",
        ),
        (
            'days: [mon], start: "23:00", end: "01:00"',
            NIGHT,
            "such as 2026-01-05 23:00 to 2026-01-06 01:00",
        ),
        (NIGHT, 'schedule: "0 0 29 2 *", duration: 1h', "such as 2028-02-29 00:00 to 01:00 Europe/Berlin"),
        (
            'schedule: "0 8 * * 1", duration: 2h',
            'schedule: "0 9 L * *", duration: 1h',
            "such as 2026-08-31",
        ),
        (XMAS, 'days: [thu], start: "20:00", end: "21:00"', ""),
        # Far years count where a date is stated.
        (
            DAY,
            'start: "07:00", end: "08:00", also: {dates: [2090-12-25]}',
            "such as 2090-12-25 07:00 to 08:00",
        ),
        (DAY, 'start: "07:00", end: "08:00", also: {dates: [2090-12-24]}', ""),
    ],
)
def test_windows_of_dates_and_schedules(first: str, second: str, when: str) -> None:
    found = told({**BASE, "p.yaml": policy(first, second)})
    expected = (
        f"p.yaml:8:7: window w1 of CapacityPolicy shop/p overlaps window w0 of CapacityPolicy shop/p {when}"
    )
    assert len(found) == bool(when)
    assert all(one.startswith(expected) and one.endswith(f"(at spec.windows[1]). {MEND}") for one in found)
    raised = second + ", priority: 1"
    assert told({**BASE, "p.yaml": policy(first, raised)}) == []


def test_dates_of_two_zones_are_compared_as_instants() -> None:
    files = {**BASE, "p.yaml": policy(XMAS), "q.yaml": policy(XMAS, name="q", zone="Asia/Tokyo")}
    assert told(files) == [
        (
            "q.yaml:7:7: window w0 of CapacityPolicy shop/q overlaps window w0 of CapacityPolicy shop/p"
            " such as 2026-12-24 06:00 to 11:00 UTC; both state shop/web with priority 0"
            " (at spec.windows[0])."
            f" {MEND}"
        )
    ]


def test_windows_that_open_too_often_are_refused_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlaps, "_MAX_SPANS", 300_000)
    # A pair of schedules that never meet, for each of many priorities.
    pairs = [
        f'schedule: "{minute}-59/5 * * * *", duration: 1m, priority: {priority}'
        for priority in range(12)
        for minute in (0, 1)
    ]
    began = perf_counter()
    assert told({**BASE, "p.yaml": policy(*pairs)}) == [
        (
            "p.yaml:7:5: windows of equal priority for one workload open more than 300,000 times in the years"
            " from 2026 to 2033, those that open alike counted once: too often to compare them all"
            " (at spec.windows). Give them different priorities, or let them open less often."
        )
    ]
    assert perf_counter() - began < 60


def test_a_window_that_opened_for_the_last_time() -> None:
    files = {**BASE, "p.yaml": policy(XMAS, DAY + ", priority: 1", NIGHT)}
    assert findings(files, "2026-12-24T18:59:59") == []
    assert findings(files, "2026-12-24T19:00:00") == [
        (
            "p.yaml:7:7: window w0 of CapacityPolicy shop/p opened last on 2026-12-24 and never will again"
            " (at spec.windows[0]). Delete it, or give it dates to come."
        )
    ]


def test_a_workload_that_nothing_gives_an_instance_to() -> None:
    told_once = (
        "web.yaml:1:1: nothing gives Service shop/web an instance from 2026-06-01 to 2027-06-01: neither its"
        " replicas, nor a window, nor an Override (at spec.replicas)."
        " Give it replicas or a window, or delete it."
    )
    files = {"fleet.yaml": FLEET, "web.yaml": IDLE}
    assert findings(files, "2026-06-01T12:00:00") == [told_once]
    assert findings({**files, "p.yaml": policy(NIGHT)}, "2026-06-01T12:00:00") == []
    none = policy(NIGHT).replace("web: 1", "web: 50%")
    assert findings({**files, "p.yaml": none}, "2026-06-01T12:00:00") == [told_once]
    filled = policy(NIGHT).replace("web: 1", "web: {fill: true}")
    assert findings({**files, "p.yaml": filled}, "2026-06-01T12:00:00") == []
    assert findings({**files, "o.yaml": OVERRIDE}, "2026-06-01T12:00:00") == []


def test_a_window_more_than_a_year_away_gives_nothing_within_it() -> None:
    far = 'start: "07:00", end: "20:00", also: {dates: [2027-12-24]}'
    files = {"fleet.yaml": FLEET, "web.yaml": IDLE, "p.yaml": policy(far)}
    assert len(findings(files, "2026-06-01T12:00:00")) == 1
    assert findings(files, "2027-06-01T12:00:00") == []


def test_an_override_that_has_ended_says_when() -> None:
    files = {**BASE, "o.yaml": OVERRIDE}
    assert findings(files, "2026-11-28T00:59:59") == []
    assert findings(files, "2026-11-28T01:00:00") == [
        "o.yaml:6:10: Override shop/rush ended at 2026-11-28T02:00:00+01:00 (at spec.until). Delete it."
    ]
