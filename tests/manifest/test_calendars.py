"""Holidays and calendar files: which dates they give, what is refused, and that nothing hangs."""

from __future__ import annotations

from datetime import date
from time import perf_counter
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.core.model import Window
from rota.manifest.calendars import FIRST_DATE, LAST_DATE, Events, events, holiday_dates
from rota.manifest.ics_times import CalendarRefused
from rota.manifest.load import Loader
from rota.manifest.tree import Entry
from tests.manifest.trees import FLEET, SERVICE, load, told, tree

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
POLICY = """\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: hours, namespace: shop}
spec:
  timeZone: Europe/Berlin
  windows:
    - {name: day, start: "07:00", end: "20:00", replicas: {web: 5}, @}
"""


def calendar(*parts: str, head: str = "") -> bytes:
    """A calendar of events, each given by its lines, apart by blanks; `~` stands for a blank."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *head.split()]
    for number, part in enumerate(parts):
        own = [line.replace("~", " ") for line in part.split()]
        identity = [] if any(line.startswith("UID") for line in own) else [f"UID:{number}"]
        lines += ["BEGIN:VEVENT", *identity, *own, "END:VEVENT"]
    return "\r\n".join((*lines, "END:VCALENDAR", "")).encode()


def dates(content: bytes, zone: ZoneInfo = BERLIN) -> list[str]:
    return [str(day) for day in sorted(events(content).dates(zone))]


def refusal(content: bytes) -> str:
    with pytest.raises(CalendarRefused) as caught:
        events(content).dates(BERLIN)
    return f"{caught.value.message}|{caught.value.mend}"


def files(window: str, **others: str | bytes) -> dict[str, str | bytes]:
    return {
        "fleet.yaml": FLEET,
        "web.yaml": SERVICE,
        "p.yaml": POLICY.replace("@", window),
        **{f"calendars/{name}.ics": content for name, content in others.items()},
    }


def window_of(window: str, **others: str | bytes) -> Window:
    loaded = load(files(window, **others))
    assert loaded.problems == ()
    assert loaded.fleet is not None
    return loaded.fleet.policies[0].windows[0]


@pytest.mark.parametrize(
    ("event", "zone", "expected"),
    [
        ("DTSTART;VALUE=DATE:20261224", BERLIN, ["2026-12-24"]),
        ("DTSTART;VALUE=DATE:20261224 DTEND;VALUE=DATE:20261227", BERLIN, ["24", "25", "26"]),
        ("DTSTART;VALUE=DATE:20261224 DURATION:P2D", BERLIN, ["24", "25"]),
        # Timed events give the dates of the policy's zone that they touch, and an end touches nothing.
        ("DTSTART:20261224T230000Z DTEND:20261225T010000Z", BERLIN, ["25"]),
        ("DTSTART:20261224T230000Z DTEND:20261225T010000Z", NEW_YORK, ["24"]),
        ("DTSTART:20261224T220000Z DTEND:20261224T230000Z", BERLIN, ["24"]),
        ("DTSTART:20261224T220000Z DTEND:20261224T230001Z", BERLIN, ["24", "25"]),
        ("DTSTART:20261224T230000Z", BERLIN, ["25"]),
        ("DTSTART;TZID=America/New_York:20261224T200000 DURATION:PT1H", BERLIN, ["25"]),
        ("DTSTART;TZID=W.~Europe~Standard~Time:20261224T200000", NEW_YORK, ["24"]),
        ("DTSTART:20261224T200000 DTEND:20261225T100000", NEW_YORK, ["24", "25"]),
        ("DTSTART;VALUE=DATE:20261224 STATUS:CANCELLED", BERLIN, []),
        ("DTSTART;VALUE=DATE:20261201 RRULE:FREQ=WEEKLY;COUNT=3", BERLIN, ["01", "08", "15"]),
        ("DTSTART;VALUE=DATE:20261201 RRULE:FREQ=WEEKLY;UNTIL=20261208", BERLIN, ["01", "08"]),
        (
            "DTSTART;VALUE=DATE:20261201 RRULE:FREQ=WEEKLY;COUNT=4 EXDATE;VALUE=DATE:20261208",
            BERLIN,
            ["01", "15", "22"],
        ),
        ("DTSTART;VALUE=DATE:20261201 RDATE;VALUE=DATE:20261203,20261205", BERLIN, ["01", "03", "05"]),
        ("DTSTART:20261201T090000Z RRULE:FREQ=HOURLY;COUNT=30", BERLIN, ["01", "02"]),
        ("DTSTART;VALUE=DATE:20190101", BERLIN, []),
        ("DTSTART;VALUE=DATE:20610101", BERLIN, []),
    ],
)
def test_events_give_dates(event: str, zone: ZoneInfo, expected: list[str]) -> None:
    full = [day if len(day) > 2 else f"2026-12-{day}" for day in expected]
    assert dates(calendar(event), zone) == full


def test_endless_rules_are_resolved_over_the_years_that_count() -> None:
    yearly = dates(calendar("DTSTART;VALUE=DATE:19991224 RRULE:FREQ=YEARLY"))
    assert (len(yearly), yearly[0], yearly[-1]) == (41, "2020-12-24", "2060-12-24")
    weekly = dates(calendar("DTSTART;VALUE=DATE:20260601 RRULE:FREQ=WEEKLY;BYDAY=MO,TU"))
    assert (len(weekly), weekly[:3]) == (3610, ["2026-06-01", "2026-06-02", "2026-06-08"])
    last_sundays = dates(calendar("DTSTART;VALUE=DATE:20260329 RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU"))
    assert last_sundays[:2] == ["2026-03-29", "2027-03-28"]
    workday = "DTSTART;VALUE=DATE:20260130 RRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"
    assert dates(calendar(workday))[:3] == ["2026-01-30", "2026-02-27", "2026-03-31"]


def test_one_occurrence_may_be_moved_or_called_off() -> None:
    series = "UID:x DTSTART;VALUE=DATE:20261201 RRULE:FREQ=WEEKLY;COUNT=3"
    moved = "UID:x RECURRENCE-ID;VALUE=DATE:20261208 DTSTART;VALUE=DATE:20261210"
    gone = "UID:x RECURRENCE-ID;VALUE=DATE:20261215 DTSTART;VALUE=DATE:20261215 STATUS:CANCELLED"
    assert dates(calendar(series, moved, gone)) == ["2026-12-01", "2026-12-10"]


def test_folded_lines_and_what_is_not_an_event() -> None:
    text = (
        b"BEGIN:VCALENDAR\nBEGIN:VTIMEZONE\nTZID:Europe/Berlin\nBEGIN:STANDARD\n"
        b"DTSTART:16010101T000000\nRRULE:FREQ=SECONDLY\nEND:STANDARD\nEND:VTIMEZONE\n"
        b"BEGIN:VTODO\nRRULE:FREQ=SECONDLY\nEND:VTODO\n"
        b"BEGIN:VEVENT\nSUMMARY:a \n very: long; one\nDTSTART;VALUE=\n DATE:2026\n\t1224\n"
        b"BEGIN:VALARM\nTRIGGER:-PT1H\nEND:VALARM\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    assert dates(text) == ["2026-12-24"]


START = "DTSTART;VALUE=DATE:20260101 "


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "it is empty|"),
        (b"\xff\xfe", "it is not UTF-8|Save it as UTF-8."),
        (b"<html>", "line 1 is not a property such as NAME:VALUE|"),
        (b"HELLO:1\n", "line 1 stands outside of a calendar: it must be BEGIN:VCALENDAR|"),
        (b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101\n", "it ends before END:VEVENT|"),
        (b"BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2 ends what did not begin before it|"),
        (
            b"BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VCALENDAR\n",
            "line 3 begins a second calendar|",
        ),
        (b"BEGIN:VCALENDAR\n" + b"BEGIN:A\n" * 9, "line 9 is nested too deep|"),
        (calendar("SUMMARY:x"), "line 4: an event has no DTSTART|"),
        (calendar("DTSTART:20260230"), 'line 6: DTSTART is no date or time: "20260230"|'),
        (calendar("DTSTART:tomorrow"), 'line 6: DTSTART is no date or time: "tomorrow"|'),
        (
            calendar("DTSTART:99991231"),
            "line 6: DTSTART is in the year 9999|Years from 1900 to 2100 are read.",
        ),
        (
            calendar("DTSTART;TZID=Europe/Berlni:20260101T000000"),
            'line 6: there is no time zone "Europe/Berlni"|Did you mean "Europe/Berlin"?',
        ),
        (
            calendar(START, head="CALSCALE:JULIAN"),
            "line 4: CALSCALE is not read|",
        ),
        (calendar(START + "EXRULE:FREQ=DAILY"), "line 7: EXRULE is not read|"),
        (
            calendar(START + "DURATION:P99999999999999D"),
            'line 7: DURATION cannot be read: "P99999999999999D"|One day is P1D.',
        ),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is in Git LFS, which nothing is read from|"),
    ],
)
def test_broken_files(content: bytes, expected: str) -> None:
    assert refusal(content).startswith(expected)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=SECONDLY", "line 7: the rule FREQ=SECONDLY never ends|Give it UNTIL or COUNT."),
        ("FREQ=MINUTELY;INTERVAL=30", "line 7: the rule FREQ=MINUTELY never ends|Give it UNTIL or COUNT."),
        ("FREQ=HOURLY", "line 7: the rule FREQ=HOURLY never ends|Give it UNTIL or COUNT."),
        ("FREQ=SECONDLY;COUNT=300000", "its events come more than 100,000 times, or are too much work to"),
        ("FREQ=HOURLY;UNTIL=20991231", "its events come more than 100,000 times, or are too much work to"),
        ("FREQ=HOURLY;COUNT=1;BYMONTH=2;BYMONTHDAY=30", "line 7: rules of FREQ=HOURLY with BYMONTH, BYMON"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "line 7: a rule of FREQ=DAILY with BYMONTH, BYMONTHDAY as it"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "line 7: a rule of FREQ=YEARLY with BYMONTH, BYMONTHDAY as"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=2", "line 7: a rule of FREQ=MONTHLY with BYMONTH as it is may"),
        ("FREQ=WEEKLY;BYDAY=1MO", "line 7: a rule of FREQ=WEEKLY with BYDAY as it is may never come|State"),
        ("FREQ=MONTHLY;BYDAY=6MO", "line 7: a rule of FREQ=MONTHLY with BYDAY as it is may never come|"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=9", "line 7: a rule of FREQ=MONTHLY with BYDAY, BYSETPOS as it is"),
        ("FREQ=DAILY;INTERVAL=0", "line 7: RRULE has a part that cannot be read: 'INTERVAL=0'|"),
        (
            "FREQ=DAILY;INTERVAL=99999999",
            "line 7: RRULE has a part that cannot be read: 'INTERVAL=99999999'|",
        ),
        ("FREQ=DAILY;UNTIL=never", "line 7: UNTIL is no date or time: 'NEVER'|"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20300101", "line 7: RRULE has both COUNT and UNTIL|Keep one of them."),
        ("FREQ=OFTEN", "line 7: RRULE has no FREQ that is known|"),
        ("INTERVAL=1", "line 7: RRULE has no FREQ that is known|"),
        ("FREQ=DAILY;FREQ=DAILY", "line 7: RRULE has a part that cannot be read: 'FREQ=DAILY'|"),
        ("garbage", "line 7: RRULE has a part that cannot be read: 'GARBAGE'|"),
    ],
)
def test_rules_that_are_not_read(rule: str, expected: str) -> None:
    assert refusal(calendar(f"{START}RRULE:{rule}")).startswith(expected)


@pytest.mark.parametrize(
    "content",
    [
        calendar(*[f"{START}RRULE:FREQ=DAILY"] * 9000),
        calendar(*["DTSTART;VALUE=DATE:19000101 RRULE:FREQ=DAILY;UNTIL=19200101"] * 9000),
        calendar(*["DTSTART;VALUE=DATE:20200101 DTEND;VALUE=DATE:20601231"] * 9000),
        calendar(*[f"{START}UID:x"] * 15000),
        calendar(f"{START}UID:x", *[f"{START}UID:x RECURRENCE-ID;RANGE=THISANDFUTURE:20260101"] * 9000),
        calendar(f"{START}RDATE;VALUE=DATE:" + ",".join(["20260101"] * 100_000)),
        calendar(f"{START}EXDATE;VALUE=DATE:" + ",".join(["20260101"] * 100_000)),
        calendar(
            f"{START}RRULE:FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};BYMINUTE=1,2,3;BYSECOND=1,2"
        ),
        b"BEGIN:VCALENDAR\n" + b" \n" * 500_000,
        b"BEGIN:VCALENDAR\n" + b'X;A="' * 200_000,
        b"BEGIN:VCALENDAR\n" + b"A;" * 500_000,
        b"BEGIN:VCALENDAR\nBEGIN:VEVENT\n" + b"DTSTART;TZID=a" + b";TZID=a" * 140_000 + b":x\n",
    ],
    ids=lambda content: content[90:130].decode(),
)
def test_hostile_files_take_little_time(content: bytes) -> None:
    began = perf_counter()
    try:
        events(content).dates(BERLIN)
    except CalendarRefused as refused:
        assert refused.message
    # Mostly far less than a second; the slack is for a machine that is busy with other tests.
    assert perf_counter() - began < 20


RULE_PARTS = st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY",
        "FREQ=MONTHLY",
        "FREQ=YEARLY",
        "FREQ=HOURLY",
        "COUNT=3",
        "INTERVAL=7",
        "UNTIL=20300101",
        "UNTIL=20300101T000000Z",
        "BYDAY=MO,SU",
        "BYDAY=-1FR",
        "BYDAY=5MO",
        "BYMONTH=2,12",
        "BYMONTHDAY=31",
        "BYMONTHDAY=-1,29",
        "BYMONTHDAY=13",
        "BYYEARDAY=365",
        "BYWEEKNO=52",
        "BYSETPOS=-1",
        "BYSETPOS=4",
        "BYHOUR=0,23",
        "BYMINUTE=30",
        "WKST=SU",
    ]
)
LINES = st.sampled_from(
    [
        "BEGIN:",
        "END:",
        "VEVENT",
        "VCALENDAR\n",
        "DTSTART",
        ":",
        "20260101",
        "\n",
        ";VALUE=DATE",
        "RRULE:FREQ=DAILY",
        "\r",
    ]
)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(RULE_PARTS, max_size=6, unique_by=lambda part: part.partition("=")[0]),
    st.sampled_from(["DTSTART;VALUE=DATE:20240229", "DTSTART:20260131T120000Z", "DTSTART:20261025T023000"]),
)
def test_every_rule_is_followed_or_refused_in_no_time(parts: list[str], start: str) -> None:
    began = perf_counter()
    try:
        found = events(calendar(f"{start} RRULE:{';'.join(parts)}")).dates(BERLIN)
        assert all(FIRST_DATE <= day <= LAST_DATE for day in found)
    except CalendarRefused as refused:
        assert refused.message
    assert perf_counter() - began < 10


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80) | st.lists(LINES).map(lambda lines: "".join(lines).encode()))
def test_reading_never_raises_anything_else(content: bytes) -> None:
    for whole in (content, b"BEGIN:VCALENDAR\n" + content + b"\nEND:VCALENDAR\n"):
        try:
            assert isinstance(events(whole), Events)
        except CalendarRefused as refused:
            assert refused.message


def test_holidays_of_a_country_and_of_a_part_of_it() -> None:
    assert date(2026, 12, 25) in holiday_dates("DE", None)
    women = date(2026, 3, 8)
    assert (women in holiday_dates("DE", None), women in holiday_dates("DE", "BE")) == (False, True)
    assert holiday_dates("DE", None) < holiday_dates("DE", "BE")
    assert {day.year for day in holiday_dates("DE", "BE")} == set(range(2020, 2061))


def test_a_stated_date_beats_a_calendar_and_the_calendar_that_closes_beats_the_other() -> None:
    christmas = date(2026, 12, 25)
    closed = window_of("days: [fri], except: {holidays: {country: DE}}")
    assert christmas in closed.except_on
    opened = window_of("days: [fri], except: {holidays: {country: DE}}, also: {dates: [2026-12-25]}")
    assert (christmas in opened.also_on, christmas in opened.except_on) == (True, False)
    only = window_of("also: {holidays: {country: DE, subdivision: BE}}, except: {holidays: {country: DE}}")
    assert (date(2026, 3, 8) in only.also_on, christmas in only.also_on) == (True, False)
    without = window_of("also: {holidays: {country: DE}}, except: {dates: [2026-12-25]}")
    assert christmas not in without.also_on
    for one in (closed, opened, only, without):
        assert not one.also_on & one.except_on


def test_a_holiday_window_complements_the_day() -> None:
    other = POLICY.replace("name: hours", "name: others").replace("@", "also: {holidays: {country: DE}}")
    days = "days: [mon, tue, wed, thu, fri, sat, sun]"
    closed = files(f"{days}, except: {{holidays: {{country: DE}}}}")
    assert told({**closed, "q.yaml": other}) == []
    problems = told(
        {**files(f"{days}, except: {{holidays: {{country: DE, subdivision: BE}}}}"), "q.yaml": other}
    )
    assert problems == []
    (problem,) = told({**closed, "q.yaml": other.replace("country: DE", "country: DE, subdivision: BE")})
    assert problem.startswith(
        "q.yaml:7:7: window day of CapacityPolicy shop/others overlaps window day of CapacityPolicy"
        " shop/hours such as 2026-03-08 07:00 to 20:00 Europe/Berlin; both state shop/web with priority 0"
    )


ICS = "days: [thu], except: {ics: calendars/closed.ics}"


def test_a_calendar_file_of_the_repository() -> None:
    content = calendar("DTSTART;VALUE=DATE:20261224")
    assert window_of(ICS, closed=content).except_on == {date(2026, 12, 24)}
    below = {f"prod/{path}": text for path, text in files(ICS, closed=content).items()}
    loaded = load(below, "prod")
    assert loaded.problems == ()


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"close": calendar()}, 'there is no such file (at P). Did you mean "calendars/close.ics"?'),
        ({"closed": b"x"}, "line 1 is not a property such as NAME:VALUE (at P)."),
        (
            {"closed": b"x" * (2**20 + 1)},
            (
                "it has 1,048,577 bytes, and the limit is 1,048,576 (at P)."
                " Leave out the events of long ago, or split it."
            ),
        ),
        (
            {"closed": calendar(f"{START}RRULE:FREQ=HOURLY")},
            "line 7: the rule FREQ=HOURLY never ends (at P). Give it UNTIL or COUNT.",
        ),
    ],
)
def test_a_calendar_file_that_cannot_be_used(others: dict[str, bytes], expected: str) -> None:
    prefix = 'p.yaml:7:96: the calendar "calendars/closed.ics" cannot be used: '
    assert told(files(ICS, **others)) == [prefix + expected.replace("P", "spec.windows[0].except.ics", 1)]


def test_a_calendar_that_is_a_link_is_not_followed() -> None:
    found = tree(files(ICS), (Entry("calendars/closed.ics", "1", 9, "symlink"),))
    (problem,) = Loader().load(found).problems
    assert problem.message == (
        'the calendar "calendars/closed.ics" cannot be used:'
        " it is a symlink: symlinks and submodules are not followed"
    )


def test_a_changed_calendar_reads_its_policies_again_and_nothing_else() -> None:
    loader = Loader()
    first = tree(files(ICS, closed=calendar("DTSTART;VALUE=DATE:20261224")))
    before = loader.load(first)
    assert sorted(first.reads) == ["calendars/closed.ics", "fleet.yaml", "p.yaml", "web.yaml"]
    same = tree(files(ICS, closed=calendar("DTSTART;VALUE=DATE:20261224")))
    assert loader.load(same) == before
    assert same.reads == []
    changed = tree(files(ICS, closed=calendar("DTSTART;VALUE=DATE:20261231")))
    after = loader.load(changed).fleet
    assert sorted(changed.reads) == ["calendars/closed.ics", "p.yaml"]
    assert after is not None
    assert after.policies[0].windows[0].except_on == {date(2026, 12, 31)}
    gone = tree(files(ICS))
    assert loader.load(gone).fleet is None
    assert gone.reads == ["p.yaml"]
    back = tree(files(ICS, closed=calendar("DTSTART;VALUE=DATE:20261224")))
    assert loader.load(back).fleet == before.fleet


def test_a_calendar_is_read_once_however_many_windows_use_it() -> None:
    many = {
        f"p{at}.yaml": POLICY.replace("hours", f"h{at}").replace("@", f"priority: {at}, {ICS}")
        for at in range(9)
    }
    found = tree({**files(ICS, closed=calendar(START)), **many, "p.yaml": ""})
    assert Loader().load(found).problems == ()
    assert found.reads.count("calendars/closed.ics") == 1


def test_dates_are_far_from_the_ends_of_the_calendar() -> None:
    far = window_of("days: [mon], also: {dates: [2100-12-31]}, except: {dates: [2020-01-06]}")
    assert far.also_on == {date(2100, 12, 31)}
