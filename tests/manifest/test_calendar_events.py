"""Events of calendar files: those that give wrong dates are refused, and those that come once are cheap."""

from __future__ import annotations

from datetime import date, timedelta
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.manifest.calendars import FIRST_DATE, LAST_DATE, Calendars, events
from rota.manifest.ics_times import CalendarRefused
from rota.manifest.load import Loader
from tests.manifest.test_calendars import BERLIN, POLICY, calendar, dates, files, refusal, window_of
from tests.manifest.trees import told, tree

START = "DTSTART;VALUE=DATE:20260105"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART:20260105T100000Z DTEND:20260105T090000Z", "line 7: DTEND lies before DTSTART|Swap them."),
        (f"{START} DTEND;VALUE=DATE:20260104", "line 7: DTEND lies before DTSTART|Swap them."),
        (
            f"{START} DTEND;VALUE=DATE:20260104 RRULE:FREQ=DAILY",
            "line 7: DTEND lies before DTSTART|Swap them.",
        ),
        (f"{START} DTEND:20260106T090000Z", "line 7: DTEND and DTSTART are not of one kind|"),
        (f"{START} DURATION:-P1D", "line 7: DURATION is less than nothing|"),
        (f"{START} DURATION:tomorrow", 'line 7: DURATION cannot be read: "tomorrow"|'),
        (f"{START} DURATION:P99999999W", "line 7: DURATION is more than 200 years|"),
        ("DTSTART:20260105T250000Z", 'line 6: DTSTART is no date or time: "20260105T250000Z"|'),
    ],
)
def test_events_that_contradict_themselves(event: str, expected: str) -> None:
    assert refusal(calendar(event)).startswith(expected)


def test_two_events_with_one_identity() -> None:
    twins = calendar(f"UID:x {START}", f"UID:x {START}")
    assert (
        refusal(twins)
        == "line 8: an event has the UID of the one in line 4|Give each event a UID of its own."
    )


def test_a_calendar_that_calls_off() -> None:
    assert refusal(calendar(START, head="METHOD:CANCEL")) == (
        "line 4: METHOD is CANCEL, so its events do not take place|Export the calendar itself."
    )
    assert dates(calendar(START, head="METHOD:PUBLISH")) == ["2026-01-05"]


@pytest.mark.parametrize(
    "parts",
    [
        ["DTSTART;VALUE=DATE:20040101 RRULE:FREQ=DAILY"],
        ["DTSTART;VALUE=DATE:20200101 RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"] * 2,
        ["DTSTART;VALUE=DATE:20200101 DTEND;VALUE=DATE:20610101"] * 3,
    ],
)
def test_dates_count_once_and_only_in_the_years_that_count(parts: list[str]) -> None:
    found = events(calendar(*parts)).dates(BERLIN)
    every = {FIRST_DATE + timedelta(days=day) for day in range((LAST_DATE - FIRST_DATE).days + 1)}
    assert found == (every if len(parts) != 2 else {day for day in every if day.weekday() < 5})


TIMES = st.sampled_from(["20260104", "20260105", "20260329T023000", "20261025T023000", "20260105T000000"])
ZONES = st.sampled_from(["", "Z", "Europe/Berlin", "Asia/Tokyo", "America/New_York"])
ENDS = st.sampled_from(["", "P1D", "PT1H", "P1DT30M", "PT0S", "P2W", "DTEND"])


@settings(max_examples=150, deadline=None)
@given(TIMES, ZONES, ENDS, st.booleans())
def test_what_comes_once_is_what_a_series_of_one_is(start: str, zone: str, end: str, out: bool) -> None:
    def line(name: str, text: str) -> str:
        if "T" not in text:
            return f"{name};VALUE=DATE:{text}"
        return f"{name}:{text}{zone}" if zone in ("", "Z") else f"{name};TZID={zone}:{text}"

    lines = line("DTSTART", start)
    if end == "DTEND":
        lines += " " + line("DTEND", start.replace("2026", "2027"))
    elif "T" not in start:
        lines += f" DURATION:{end}" if end in ("P1D", "P2W") else ""
    elif end:
        lines += f" DURATION:{end}"
    lines += " STATUS:CANCELLED" if out else ""
    assert dates(calendar(lines)) == dates(calendar(f"{lines} RRULE:FREQ=YEARLY;COUNT=1"))


def singles(count: int, first: date = date(2021, 1, 1)) -> bytes:
    days = (first + timedelta(days=number) for number in range(count))
    return calendar(*(f"DTSTART;VALUE=DATE:{day:%Y%m%d}" for day in days))


def test_fourteen_thousand_single_events_take_well_under_a_second() -> None:
    content = singles(14_000)
    began = perf_counter()
    assert len(events(content).dates(BERLIN)) == 14_000
    # A fifth of a second, where the libraries took five; the slack is for a busy machine.
    assert perf_counter() - began < 3


def with_calendars(count: int, content: bytes) -> dict[str, str | bytes]:
    """So many policies, each with a calendar file of its own."""
    made: dict[str, str | bytes] = {**files("days: [mon]"), "p.yaml": ""}
    for at in range(count):
        window = f"priority: {at}, days: [mon], except: {{ics: c{at}.ics}}"
        made[f"p{at}.yaml"] = POLICY.replace("hours", f"h{at}").replace("@", window)
        made[f"c{at}.ics"] = content + b"\r\n" * at
    return made


def test_how_many_calendars_are_too_many_does_not_depend_on_what_was_read_before() -> None:
    forty, sixty = (tree(with_calendars(count, calendar(START))) for count in (40, 60))
    loader = Loader()
    assert loader.load(forty).problems == ()
    (problem,) = loader.load(sixty).problems
    assert str(problem) == (
        ".:1:1: 60 calendar files are used, and the limit is 50."
        " Join some of them, or leave out the events of long ago."
    )
    fresh = Loader()
    assert fresh.load(sixty).problems == (problem,)
    for each in (loader, fresh):
        assert each.load(sixty).problems == (problem,)
        assert each.load(forty) == Loader().load(forty)


def test_equal_files_count_once() -> None:
    same = {path: b"" if path.endswith(".ics") else text for path, text in with_calendars(60, b"").items()}
    same.update({path: calendar(START) for path in same if path.endswith(".ics")})
    assert told(same) == []


def test_the_events_of_all_files_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rota.manifest.calendars.MAX_WORK", 500)
    two, three = (tree(with_calendars(count, singles(200))) for count in (2, 5))
    loader = Loader()
    assert loader.load(two).problems == ()
    (problem,) = loader.load(three).problems
    assert problem.message == "the calendar files that are used have more than 500 events together"
    assert Loader().load(three).problems == (problem,)
    assert loader.load(two) == Loader().load(two)


def test_what_was_not_read_is_no_reason_to_read_no_more() -> None:
    calendars = Calendars(tree({"a.ics": b"x"}), "")
    with pytest.raises(CalendarRefused, match="there is no such file"):
        calendars.dates("b.ics", BERLIN)
    assert not calendars.cut


def test_a_calendar_without_dates() -> None:
    empty = calendar("DTSTART;VALUE=DATE:20150101")
    message = (
        'the calendar "calendars/closed.ics" gives no date from 2020 to 2060 (at spec.windows[0].P.ics).'
    )
    ending = "Leave it out, or give it events."
    also = told(files("days: [mon], also: {ics: calendars/closed.ics}", closed=empty))
    assert also == [f"p.yaml:7:94: {message.replace('P', 'also')} {ending}"]
    never = told(files("days: [mon], except: {ics: calendars/closed.ics}", closed=empty))
    assert never == [f"p.yaml:7:96: {message.replace('P', 'except')} {ending} (warning)"]


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        ("UA", "no holidays of UA are known after 2022"),
        ("LK", "no holidays of LK are known after 2026"),
        ("IN", "not all holidays of IN are known after 2035"),
    ],
)
def test_holidays_that_are_known_for_some_years_only(country: str, expected: str) -> None:
    (found,) = told(files(f"days: [mon], except: {{holidays: {{country: {country}}}}}"))
    assert found == (
        f"p.yaml:7:101: {expected} (at spec.windows[0].except.holidays)."
        " State them in dates, or in a calendar file. (warning)"
    )


def test_a_window_that_would_open_first_after_the_years_that_count() -> None:
    # One o'clock of 2061 in Tokyo is still 2060 in UTC.
    new_years = ", ".join(f"{year}-01-01" for year in range(2020, 2061))
    day = f'schedule: "0 1 1 1 *", duration: 1h, except: {{dates: [{new_years}]}}'
    policy = POLICY.replace('start: "07:00", end: "20:00", ', "").replace("Europe/Berlin", "Asia/Tokyo")
    (found,) = told({**files(""), "p.yaml": policy.replace("@", day)})
    assert "except leaves nothing of window day: it never opens" in found


def test_warnings_do_not_make_a_window_unsound() -> None:
    found = window_of("days: [mon], except: {holidays: {country: DE}}")
    assert date(2026, 12, 25) in found.except_on
