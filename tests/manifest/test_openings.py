"""Fleets whose windows open often, or are many: judged in bounded time, and refused for true reasons only."""

from __future__ import annotations

from datetime import UTC, datetime
from time import perf_counter

from rota.manifest.checks import dated_findings
from tests.manifest.test_dated import BASE, policy
from tests.manifest.trees import FLEET, SERVICE, load, told


def dense(count: int, length: int = 60) -> str:
    """So many schedules of their own, each 288 times a day."""
    return policy(
        *(
            f'schedule: "*/5 * * * *", duration: {length + number}s, priority: {number}'
            for number in range(count)
        )
    )


def test_many_workloads_with_windows_alike_are_no_work() -> None:
    days = "days: [mon, tue, wed, thu, fri]"
    closed = "except: {holidays: {country: DE}}"
    files = {"fleet.yaml": FLEET}
    for at in range(200):
        name = f"s{at}"
        files[f"{name}.yaml"] = SERVICE.replace("name: web", f"name: {name}")
        files[f"{name}-hours.yaml"] = policy(
            f'{days}, start: "07:00", end: "12:00", {closed}',
            f'{days}, start: "12:00", end: "20:00", {closed}',
            f'schedule: "0 20 * * *", duration: 1h, {closed}',
            name=name,
        ).replace("web:", f"{name}:")
    began = perf_counter()
    assert told(files) == []
    # A third of a second; the slack is for a machine that is busy with other tests.
    assert perf_counter() - began < 5


def test_windows_alike_of_two_workloads_conflict_in_both() -> None:
    closed = "except: {holidays: {country: DE}}"
    pair = [f'days: [mon], start: "{start}", end: "20:00", {closed}' for start in ("07:00", "08:00")]
    files = {**BASE, "api.yaml": SERVICE.replace("name: web", "name: api"), "p.yaml": policy(*pair)}
    files["q.yaml"] = policy(*pair, name="q").replace("web:", "api:")
    found = told(files)
    assert [one.partition(" ")[0] for one in found] == ["p.yaml:8:7:", "q.yaml:8:7:"]
    assert ["shop/web" in one for one in found] == [True, False]


def test_dates_besides_the_week_are_compared_where_their_weekday_meets() -> None:
    weekday = 'days: [mon], start: "07:00", end: "20:00"'
    monday, tuesday = (f'start: "07:00", end: "20:00", also: {{dates: [2026-06-{day:02}]}}' for day in (1, 2))
    assert len(told({**BASE, "p.yaml": policy(weekday, monday)})) == 1
    assert told({**BASE, "p.yaml": policy(weekday, tuesday)}) == []


def test_schedules_that_open_too_often_together() -> None:
    assert told({**BASE, "p.yaml": dense(20)}) == []
    assert told({**BASE, "p.yaml": dense(21)}) == [
        (
            "p.yaml:7:5: the schedules of this repository open 6,048 times a day together, and the limit is"
            " 6,000 (at spec.windows). Let them open less often; those of equal schedule, duration, zone and"
            " dates count once."
        )
    ]
    alike = policy(*(f'schedule: "*/5 * * * *", duration: 1m, priority: {at}' for at in range(100)))
    assert told({**BASE, "p.yaml": alike}) == []


def test_without_quotas_no_year_of_openings_is_looked_at() -> None:
    fleet = load({**BASE, "p.yaml": dense(20)}).fleet
    assert fleet is not None
    began = perf_counter()
    assert dated_findings(fleet, datetime(2026, 11, 23, 16, tzinfo=UTC)) == ()
    assert perf_counter() - began < 1
