"""Zones have the names and the rules of the package, whatever the machine knows of them."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rota.manifest.calendars import events
from rota.manifest.zones import meant, zone, zones
from tests.manifest.test_calendars import calendar
from tests.manifest.trees import FLEET, POLICY, SERVICE, edited, load

VANCOUVER = "America/Vancouver"


@pytest.fixture
def broken_machine(tmp_path: Path) -> Iterator[None]:
    """A machine on which Vancouver is no time zone file, and Berlin has the rules of UTC."""
    for name, content in ((VANCOUVER, b"broken"), ("Europe/Berlin", b"TZif" + bytes(40))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    zone.cache_clear()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()
    zone.cache_clear()


def test_equal_names_are_the_same_zone() -> None:
    assert zone("Europe/Berlin") is zone("Europe/Berlin")
    assert (zone(VANCOUVER).key, str(zone(VANCOUVER))) == (VANCOUVER, VANCOUVER)


def test_every_name_has_rules() -> None:
    at = datetime(2026, 11, 24, 15, tzinfo=UTC)
    assert all(at.astimezone(zone(name)).utcoffset() is not None for name in zones())
    assert "Factory" not in zones()


@pytest.mark.usefixtures("broken_machine")
def test_a_policy_has_the_rules_of_the_package() -> None:
    files = {"fleet.yaml": FLEET, "web.yaml": SERVICE, "p.yaml": edited(POLICY, "Europe/Berlin", VANCOUVER)}
    loaded = load(files)
    assert loaded.fleet is not None
    at = datetime(2026, 11, 24, 7, tzinfo=loaded.fleet.policies[0].zone)
    assert at.astimezone(UTC) == datetime(2026, 11, 24, 14, tzinfo=UTC)


@pytest.mark.usefixtures("broken_machine")
@pytest.mark.parametrize("rule", ["", " RRULE:FREQ=DAILY;COUNT=1"])
def test_a_calendar_has_the_rules_of_the_package(rule: str) -> None:
    event = f"DTSTART;TZID={VANCOUVER}:20261124T230000 DURATION:PT1H{rule}"
    assert sorted(map(str, events(calendar(event)).dates(zone("Europe/Berlin")))) == ["2026-11-25"]
    assert sorted(map(str, events(calendar(event)).dates(zone(VANCOUVER)))) == ["2026-11-24"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Berlin", "Europe/Berlin"),
        ("US/Berlin", "Europe/Berlin"),
        ("new york", "America/New_York"),
        ("Europe/Berlni", "Europe/Berlin"),
        ("GMT+1", ""),
        ("Etc/GMT+15", ""),
        ("nowhere", ""),
    ],
)
def test_what_a_name_may_stand_for(name: str, expected: str) -> None:
    assert meant(name) == (f'Did you mean "{expected}"?' if expected else "")
