"""`rota simulate`: what it prints, that it prints it again, and what it says of words it does not know."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from rota.cli.stretch import ends_of, faults, spans
from rota.core.model import Fleet
from rota.errors import Fatal
from rota.simulation.run import Fault
from rota.simulation.times import Span
from tests import builders
from tests.cli.test_quota import HOST, rota
from tests.manifest.trees import FLEET, POLICY, SERVICE

EXAMPLE = Path(__file__).parents[2] / "example-repo"
BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 6, 1, 0, 0, tzinfo=BERLIN)
DAY = ("simulate", "--repo", str(EXAMPLE), "--from", "2026-06-01", "--to", "2026-06-02")


def small(zone: ZoneInfo = BERLIN) -> Fleet:
    hosts = [builders.host("alpha"), builders.host("beta")]
    return builders.fleet(hosts, [builders.service("web")], (builders.policy(zone=zone),))


def test_a_day_of_the_example_keeps_every_promise(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = rota(capsys, *DAY)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == (
        "Fleet shop (the folder as it stands) from Mon 2026-06-01 00:00 to Tue 2026-06-02 00:00 "
        "Europe/Berlin, seed 1"
    )
    assert lines[2].split() == ["EDGE", "WINDOW", "WORKLOAD", "READY", "ALL", "HEALTHY", "VERDICT"]
    assert any("shop/web" in one and "12/12" in one and one.endswith("met") for one in lines)
    assert any("shop/worker" in one and "all the time" in one for one in lines)
    assert lines[-1].startswith("Kept: ")
    assert "late 0" in lines[-1]


def test_the_same_words_give_the_same_bytes_and_another_seed_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = [
        rota(capsys, *DAY, "--fail", "h2@10:00+30m", "--events", *seed) for seed in ((), (), ("--seed", "2"))
    ]
    assert said[0] == said[1]
    assert said[0][1] != said[2][1]


def test_a_lost_host_is_told_with_how_long_it_hurt(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = rota(capsys, *DAY, "--fail", "h2@10:00+30m", "--events", "-o", "json")
    told = json.loads(out)
    assert code == 0
    assert (told["apiVersion"], told["kind"], told["kept"]) == ("rota/v1", "Simulation", True)
    assert {one["name"]: one["losses"] for one in told["hosts"]} == {"h1": 0, "h2": 1, "h3": 0}
    (below,) = next(one["below"] for one in told["workloads"] if one["workload"] == "shop/memcached")
    assert (below["since"], below["lowest"], below["floor"]) == ("2026-06-01T10:00:00+02:00", 1, 2)
    assert 10 <= below["seconds"] <= 60  # until it is given up, and its successor is healthy
    texts = [one["text"] for one in told["events"]]
    assert "host h2 fails" in texts
    first = [texts.index(f"host h2 {what}") for what in ("fails", "is suspect", "is lost")]
    then = [texts.index(f"host h2 {what}") for what in ("has started again", "is reachable")]
    assert [*first, *then] == sorted([*first, *then])
    assert any(one.startswith("start ") and one.endswith("(h2 is lost)") for one in texts[first[2] : then[0]])


def test_an_edge_that_is_missed_is_the_answer_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = POLICY.replace("mon, tue", "mon").replace("web: 50%}", "web: 3}, lead: 5s")
    service = SERVICE.replace('"web:1"', '"web:1", healthcheck: {test: [CMD, "true"]}')
    for name, text in {"fleet": FLEET, "host": HOST, "web": service, "hours": policy}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    words = ("simulate", "-C", str(tmp_path), *DAY[3:])
    code, out, err = rota(capsys, *words, "--healthy", "20s")
    assert (code, err) == (1, "")
    assert "hours/day  shop/web  3/3    " in out
    assert "late" in out
    assert out.splitlines()[-1].startswith("NOT KEPT: edges met 0, late 1; ")
    assert rota(capsys, *words, "--healthy", "1s")[0] == 0


def test_without_policies_it_is_a_day_in_utc(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in {"fleet": FLEET, "host": HOST, "web": SERVICE}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    code, out, _ = rota(capsys, "simulate", "-C", str(tmp_path), "--now", "2026-11-24T12:00:00+01:00")
    assert code == 0
    assert "from Wed 2026-11-25 00:00 to Thu 2026-11-26 00:00 UTC, seed 1" in out
    assert "EDGE" not in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fail", "h22@10:00"), "there is no host 'h22'. Did you mean"),
        (("--fail", "elsewhere@10:00"), "there is no host 'elsewhere'. Hosts are: h1, h2, h3."),
        (("--fail", "h2"), "write HOST@TIME or HOST@TIME+DURATION"),
        (("--fail", "h2@ten"), "'ten' is not a time. Write HH:MM"),
        (("--fail", "h2@10:00+soon"), "'soon' is not a duration above 0"),
        (("--fail", "h2@10:00+0s"), "'0s' is not a duration above 0"),
        (("--fail", "h2@2026-06-03T10:00"), "lies outside of the time that is simulated"),
        (("--fail", "h2@2026-05-31T23:59:59+02:00+1h"), "lies outside of the time that is simulated"),
        (("--to", "2026-06-01"), "it must come after --from"),
        (("--to", "2028-06-01"), "at most 366 days"),
        (("--to", "tomorrow"), "--to tomorrow: not a date or a time"),
        (("--from", "2026-02-30"), "--from 2026-02-30: not a date or a time"),
        (("--healthy", "fast"), "--healthy fast: 'fast' is not a duration or a range"),
        (("--pull", "60s..5s"), "--pull 60s..5s: a range begins above 0 and does not end before it begins"),
        (("--stop", "0s..5s"), "a range begins above 0"),
        (("--start", "redis:7.3=2s"), "no workload uses the image 'redis:7.3'. Did you mean"),
    ],
)
def test_bad_words_are_said_clearly(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = rota(capsys, *DAY, *words)
    assert (code, out) == (2, "")
    assert said in err


def test_the_default_stretch_is_the_coming_local_day_however_long_it_is() -> None:
    start, end = ends_of(None, None, datetime(2026, 10, 24, 12, tzinfo=UTC), BERLIN)
    assert (start.isoformat(), end - start) == ("2026-10-24T22:00:00+00:00", timedelta(hours=25))
    start, end = ends_of("2026-03-29T00:30", None, datetime(2026, 1, 1, tzinfo=UTC), BERLIN)
    assert (start.isoformat(), end - start) == ("2026-03-28T23:30:00+00:00", timedelta(hours=23))


def test_times_of_faults_are_local_and_the_first_from_the_beginning_on() -> None:
    start = START + timedelta(hours=12)
    found = faults(
        ("beta@13:00", "alpha@07:00+90s", "alpha@2026-06-01T14:00+1h30m", "beta@2026-06-01T13:00:00Z+2d"),
        small(),
        start,
        start + timedelta(days=2),
    )
    assert found == (
        Fault("beta", START + timedelta(hours=13)),
        Fault("alpha", START + timedelta(hours=14), 5400.0),
        Fault("beta", START + timedelta(hours=15), 172800.0),
        Fault("alpha", START + timedelta(hours=31), 90.0),
    )


def test_ranges_are_by_image_on_top_of_the_usual_ones() -> None:
    usual = {"": Span(1.0, 2.0)}
    assert spans("--pull", ("5s..1m", "web:1=500ms"), ["web:1"], usual) == {
        "": Span(5, 60),
        "web:1": Span(0.5, 0.5),
    }
    assert usual == {"": Span(1.0, 2.0)}
    with pytest.raises(Fatal, match="not a duration"):
        spans("--pull", ("5",), [], usual)
