"""The picture of a forecast: sound XML, the same bytes, small, and no word where it would touch another."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rota.core.forecast.instant import Forecast
from rota.core.model import Fleet, Scheduled
from rota.report.timeline import timeline
from rota.report.timeline_shapes import dominant
from tests import builders
from tests.builders import fleet, host, service
from tests.core.forecast.test_walk import MONDAY, of_day, switching

SVG = "{http://www.w3.org/2000/svg}"
KILOBYTE = 1000
ROOT = Path(__file__).parents[2]
WIDEST = 7.2
"""No label is wider for each of its characters in the fonts that are named, at 12 px; at 14 px and bold by a
quarter more."""


def many(workloads: int, policies: int = 1) -> Fleet:
    """So many workloads, shared out among policies whose windows begin minutes apart."""
    ones = [service(f"workload-{at:02}", cpu=100 + 10 * at, memory=64) for at in range(workloads)]
    made = []
    for number in range(policies):
        mine = {one.id.name: 1 for one in ones[number::policies]}
        window = builders.window(
            f"{7 + number % 10:02}:{(7 * number) % 60:02}", "20:00", dict.fromkeys(mine, 3), lead=300.0
        )
        made.append(builders.policy(name=f"p{number}", base=builders.amounts(mine), windows=(window,)))
    return fleet([host(f"h{at}", cpu=16000, memory=65536) for at in range(4)], ones, tuple(made))


FORECASTS = {
    "day": lambda: of_day(switching()),
    "unplaced": lambda: of_day(switching(etl=9)),
    "25-hours": lambda: of_day(switching(), date(2026, 10, 25)),
    "week": lambda: of_day(switching(), days=7),
    "twelve": lambda: of_day(many(12)),
    "crowded": lambda: of_day(many(30, policies=8), days=4),
    "empty": lambda: of_day(fleet([], [])),
}


@pytest.fixture(params=FORECASTS, scope="module")
def made(request: pytest.FixtureRequest) -> Forecast:
    found: Forecast = FORECASTS[request.param]()
    return found


def test_it_is_sound_small_and_without_script(made: Forecast) -> None:
    text = timeline(made)
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert [root[0].tag, root[1].tag] == [f"{SVG}title", f"{SVG}desc"]
    assert all((one.text or "").strip() for one in root[:2])
    assert len(text.encode()) <= 30 * KILOBYTE
    assert "<script" not in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"nan|inf\b|\d\.\d\d", " ".join(one.get("d", "") for one in root.iter()))


def test_the_same_bytes_twice(made: Forecast) -> None:
    assert timeline(made) == timeline(made)


def test_no_label_touches_another_or_leaves_the_picture(made: Forecast) -> None:
    root = ElementTree.fromstring(timeline(made))
    rows: dict[str, list[tuple[float, float]]] = {}
    for one in root.iter(f"{SVG}text"):
        anchor = (one.get("class") or "").split()
        x, length = float(one.get("x", 0)), len(one.text or "") * 6.2
        if {"m", "r"} & {*anchor}:
            length = len(one.text or "") * WIDEST
        left = x - length / 2 if {"m", "w"} & {*anchor} else x - length if "r" in anchor else x
        assert left >= 0, one.text
        assert left + length <= 960, one.text
        rows.setdefault(one.get("y", ""), []).append((left, left + length))
    for spans in rows.values():
        spans.sort()
        assert all(before[1] <= after[0] + 1 for before, after in pairwise(spans)), spans


def test_more_than_eight_are_joined() -> None:
    text = timeline(of_day(many(12)))
    assert ">4 others<" in text
    assert text.count('<path class="s s') == 9
    assert ">shop/workload-11 1 to 3<" in text
    assert ">shop/workload-00" not in text


def test_what_fills_the_fleet_is_drawn() -> None:
    crowd = fleet([host("h1", cpu=8000, memory=1024)], [service("web", 3, cpu=100, memory=256)])
    assert dominant(of_day(crowd)) == "memory"
    assert ">Share of 1Gi of memory on all hosts that answer<" in timeline(of_day(crowd))
    assert dominant(of_day(switching())) == "cpu"


def test_leads_are_drawn_where_they_can_be_told_from_their_edge() -> None:
    text = timeline(of_day(many(2)))
    assert text.count('class="edge"') == 2
    assert text.count('class="lead"') == 1


def test_names_are_escaped() -> None:
    window = builders.window("07:00", "20:00", {"web": 2}, name="<b>&\x1b")
    of = fleet([host("h1")], [service("web")], (builders.policy(windows=(window,)),))
    assert "&lt;b&gt;&amp;\\x1b" in timeline(of_day(of, MONDAY))


def test_it_says_where_something_has_no_place() -> None:
    assert ">something has no place<" in timeline(of_day(switching(etl=9)))
    assert "something has no place" not in timeline(of_day(switching()))
    assert timeline(of_day(replace(switching(), revision="2" * 40))) == timeline(of_day(switching()))


def often(minutes: int, peak: int, days: int = 1) -> Forecast:
    """A window that opens every few minutes and lasts for one: far more instants than pixels."""
    hours = Scheduled(cron=f"*/{minutes} * * * *", duration=60.0)
    window = replace(builders.window("00:00", "00:01", {"web": peak}), hours=hours, lead=0.0)
    policy = builders.policy(base=builders.amounts({"web": 2}), windows=(window,))
    return of_day(fleet([host("h1", cpu=10000)], [service("web", cpu=1000)], (policy,)), days=days)


def test_no_peak_is_lost_among_more_instants_than_can_be_seen() -> None:
    made = often(10, 8)
    assert len(made.instants) > 280
    text = timeline(made)
    root = ElementTree.fromstring(text)
    plot = next(one for one in root.iter(f"{SVG}rect") if (one.get("class") or "") == "free")
    foot = float(plot.get("y", 0)) + float(plot.get("height", 0))
    peak = f"{foot - 0.8 * float(plot.get('height', 0)):.1f}".removesuffix(".0")
    (path,) = [one.get("d", "") for one in root.iter(f"{SVG}path") if one.get("class") == "s s0"]
    assert path.count(f"V{peak}H") > 100
    assert ">free 20% to 80%<" in text
    assert len(text.encode()) <= 60 * KILOBYTE


def test_lines_that_would_touch_are_drawn_once() -> None:
    root = ElementTree.fromstring(timeline(often(10, 8)))
    xs = sorted(
        float(one.get("d", "M0 ")[1:].split()[0])
        for one in root.iter(f"{SVG}path")
        if one.get("class") == "edge"
    )
    assert len(xs) > 100
    assert all(after - before >= 2.9 for before, after in pairwise(xs))


def test_a_label_at_the_very_end_is_left_out() -> None:
    window = builders.window("00:00", "05:00", {"web": 4}, lead=600.0)
    policy = builders.policy(base=builders.amounts({"web": 1}), windows=(window,))
    of = fleet([host("h1")], [service("web")], (policy,))
    text = timeline(of_day(of))
    assert text.count('class="lead"') == 1
    assert ">lead 23:50<" not in text


def test_the_bytes_do_not_depend_on_hashes() -> None:
    """In processes of their own, for Python draws its hashes once for each."""
    words = "plan -C example-repo --day 2026-06-01 --now 2026-06-01T00:00:00+02:00 --format svg"
    told = {
        subprocess.run(
            [sys.executable, "-m", "rota.cli", *words.split()],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT / "operator")},
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(told) == 1
