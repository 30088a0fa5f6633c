"""The words of a forecast: what comes first, and days that are told once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from xml.etree import ElementTree

import pytest

from rota.core.forecast import walk
from rota.core.forecast.instant import Forecast
from rota.core.ids import WorkloadId
from rota.core.model import Fleet, Loss, Override, Quota
from rota.core.rules import Operator, PlacementRules, Requirement
from rota.report.forecast import folded, forecast_text
from rota.report.forecast_document import forecast_document
from rota.report.forecast_words import money, summary
from rota.report.markdown import forecast_markdown
from rota.report.timeline import timeline
from tests import builders
from tests.builders import fleet, host, service
from tests.core.forecast.test_walk import MONDAY, day_and_night, of_day, shop, switching

WEEKDAYS = frozenset(range(5))


def blocks(text: str) -> list[str]:
    """The lines of a forecast that begin a day."""
    return [line for line in text.splitlines()[2:] if line[:1].isalpha() and ":" not in line[:8]]


def weekly() -> Fleet:
    """Windows on weekdays only; by day as many as by night, so that nothing depends on what was before."""
    window, night = day_and_night({"web": 2}, {"web": 4}, days=WEEKDAYS)
    return shop([host("h1"), host("h2")], [service("web", cpu=1000)], window, night=night)


def test_the_first_line_sums_it_up() -> None:
    made = of_day(switching(), losses=9)
    first, *others = forecast_text(made, "status 0000000").splitlines()
    assert first == (
        "Forecast Mon 2026-06-01 (Europe/Berlin), 24 h, 2 edges: everything fits; "
        "survives the loss of any one host: no (each at its worst: etl 4 -> 2, web 6 -> 4)"
    )
    assert others[:3] == [
        "Observed: status 0000000",
        "A loss is taken over without moving or stopping others",
        "To begin with: 6 to start",
    ]


def test_by_day_and_by_night() -> None:
    window, night = day_and_night({"web": 3, "etl": 0}, {"web": 2, "etl": 4})
    of = shop(
        [host("h1"), host("h2")],
        [service("web", cpu=1000), service("etl", cpu=1000, priority=50)],
        window,
        night=night,
    )
    assert summary(of_day(of, losses=9)).endswith(
        "survives the loss of any one host: yes by day, no by night (etl 4 -> 2)"
    )


def test_what_does_not_fit_comes_first() -> None:
    made = of_day(switching(etl=9))
    assert summary(made) == (
        "Mon 2026-06-01 (Europe/Berlin), 24 h, 2 edges: no place for 3 of 9 instances of shop/etl "
        "(cpu short by 1000m), from 00:00, 20:00"
    )
    text = forecast_text(made, "nothing")
    assert "  20:00   day -> base\n" in text
    assert (
        "! Service shop/etl: 3 of 9 instances have no place: cpu short by 1000m on the best host, h" in text
    )
    assert "; cpu by 3000m in sum\n" in text


def test_days_that_are_alike_are_told_once() -> None:
    made = of_day(weekly(), days=7)
    groups = [[one.day.date.day for one in group] for group in folded(made)]
    assert groups == [[1], [2, 3, 4, 5], [6], [7]]
    text = forecast_text(made, "nothing")
    assert "\nTue 2026-06-02 to Fri 2026-06-05: as Mon\n" in text
    assert "\nSun 2026-06-07: as Sat\n" in text


def test_a_day_on_which_the_clocks_change_says_so() -> None:
    text = forecast_text(of_day(switching(), date(2026, 10, 25)), "nothing")
    assert "\nSun 2026-10-25 (25 h, the clocks go back)\n" in text
    assert "  07:00   base -> day (06:00Z)\n" in text
    assert "(23 h, the clocks go forward)" in forecast_text(of_day(switching(), date(2027, 3, 28)), "nothing")


def test_quotas_hosts_that_could_be_off_and_money() -> None:
    limited = replace(switching(3), quotas=(Quota(namespace="shop", name="all", hard={"cpu": 5000}),))
    text = forecast_text(of_day(limited), "nothing")
    assert "; more than quota shop/all allows\n" in text
    assert "! quota shop/all: cpu 6 of 5 wanted (1 over)\n" in text
    assert "\nCost: 36.00 for all hosts, " in text
    window, night = day_and_night({"web": 2}, {"web": 1})
    of = shop(
        [host("h1", cost_per_hour=0.5), host("h2", cost_per_hour=0.5)],
        [service("web", cpu=3000)],
        window,
        night=night,
    )
    assert "could be off: h" in forecast_text(of_day(of), "nothing")
    assert "(costs 1.00 an hour, 0.50 without)\n" in forecast_text(of_day(of), "nothing")
    assert (money(0.0), money(0.0125), money(2.5)) == ("0.00", "0.0125", "2.50")


def test_markdown_begins_with_the_sum_and_folds_what_is_short() -> None:
    made: Forecast = of_day(switching(etl=9), losses=9)
    text = forecast_markdown(made, "status 0000000")
    assert text.startswith("**Forecast Mon 2026-06-01 (Europe/Berlin), 24 h, 2 edges: no place for 3 of 9 ")
    assert "| 20:00 | day -\\> base |" in text
    assert "**no**: 3 of 9 instances of shop/etl" in text
    assert "<details><summary>What is short on Mon 2026-06-01</summary>" in text
    assert text == forecast_markdown(of_day(switching(etl=9), losses=9), "status 0000000")


def test_two_policies_are_named() -> None:
    one = builders.window("07:00", "20:00", {"web": 2}, lead=0.0)
    of = fleet(
        [host("h1")],
        [service("web"), service("etl")],
        (
            builders.policy(base=builders.amounts({"web": 1}), windows=(one,)),
            builders.policy(name="pool", base=builders.amounts({"etl": 1})),
        ),
    )
    text = forecast_text(of_day(of, MONDAY), "nothing")
    assert "  00:00   day-night/base, pool/base\n" in text
    assert "  07:00   day-night base -> day\n" in text


def in_zone(zone: str) -> PlacementRules:
    return PlacementRules(host_selector=(Requirement(key="zone", operator=Operator.IN, values=(zone,)),))


def override(name: str, begins: int, until: int, **fields: object) -> Override:
    """In force on Monday between two full hours, UTC."""
    made = Override(
        namespace="shop",
        name=name,
        target_kind="Service",
        target_name="web",
        start=datetime(2026, 6, 1, begins, tzinfo=UTC),
        until=datetime(2026, 6, 1, until, tzinfo=UTC),
        reason="sale",
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def test_a_shortage_that_begins_with_an_override_is_told_when_it_begins() -> None:
    """8 cores: nothing more of web fits at 12:00, for by day there are 8 of it already."""
    window, night = day_and_night({"web": 8}, {"web": 2})
    of = shop([host("h1"), host("h2")], [service("web", cpu=1000)], window, night=night)
    of = replace(
        of,
        overrides=(override("sale", 10, 12, replicas=builders.amounts({"web": 10})[service("web").id]),),
        quotas=(Quota(namespace="shop", name="all", hard={"cpu": 9000}),),
    )
    made = of_day(of)
    text = forecast_text(made, "nothing")
    assert (
        "  12:00   Override sale begins\n          ! Service shop/web: 2 of 10 instances have no place"
        in text
    )
    assert "! quota shop/all: cpu 10 of 9 wanted (1 over)" in text
    assert "  14:00   Override sale ends\n          everything fits\n" in text
    assert "| 12:00 | Override sale begins |" in forecast_markdown(made, "nothing")


def test_a_host_that_an_override_cordons_is_told() -> None:
    of = shop([host("h1"), host("h2")], [service("web")], night={"web": 1})
    cordon = override("fix", 10, 12, target_kind="Host", target_name="h2", unschedulable=True)
    text = forecast_text(of_day(replace(of, overrides=(cordon,))), "nothing")
    assert "  12:00   Override fix begins\n" in text
    assert "  14:00   Override fix ends\n" in text


def test_a_host_that_is_kept_for_a_loss_could_not_be_off() -> None:
    """4 of web fill one host; the other is empty, and all there is when the first is lost."""
    rules = builders.service("web", cpu=1000)
    of = shop([host("h1", cost_per_hour=0.5), host("h2", cost_per_hour=0.5)], [rules], night={"web": 1})
    kept = forecast_text(of_day(replace(of, survive=Loss.HOST)), "nothing")
    assert "could be off" not in kept
    assert "          empty: h" in kept
    assert " (kept for the loss of a host)\n" in kept
    three = replace(of, survive=Loss.HOST, hosts={**of.hosts, "h3": host("h3", cost_per_hour=0.5)})
    made = of_day(three)
    text = forecast_text(made, "nothing")
    assert "could be off: h" in text
    assert "(costs 1.50 an hour, 1.00 without)" in text
    assert [(len(one.empty), len(one.spare)) for one in made.instants] == [(2, 1)]


def test_pinned_data_is_no_yes_without_a_but() -> None:
    db = builders.service("db", container=builders.pinned(), replicas=1)
    of = shop([host("h1"), host("h2")], [db], night={"db": 1})
    made = of_day(of, losses=9)
    (one,) = made.instants[0].headroom.pinned if made.instants[0].headroom else ()
    told = f"yes, but db/0 stays down with {one.lost}: its volume is there"
    assert summary(made).endswith(f"survives the loss of any one host: {told}")
    assert f"survives the loss of any one host: {told}\n" in forecast_text(made, "nothing")
    document = forecast_document(made, "", "nothing")
    assert document["instants"][0]["survives"]["pinned"] == [
        {"lost": one.lost, "workload": "shop/db", "count": 1, "slots": [0]}
    ]


def test_losses_at_several_hosts_are_not_added_up() -> None:
    """Each host takes only what it has: web is lost with h1, worker with h2, never both."""
    only = {name: in_zone(zone) for name, zone in (("web", "a"), ("worker", "b"))}
    of = shop(
        [host("h1", labels={"zone": "a"}), host("h2", labels={"zone": "b"})],
        [service(name, placement=one) for name, one in only.items()],
        night={"web": 3, "worker": 2},
    )
    assert summary(of_day(of, losses=9)).endswith(
        "no (each at its worst: web 3 -> 0 without h1, worker 2 -> 0 without h2)"
    )


def test_a_forecast_that_is_cut_off_says_so_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_INSTANTS", 2)
    made = of_day(switching())
    assert not made.complete
    end = f"{made.end.astimezone(made.zone):%a %Y-%m-%d %H:%M}"
    assert summary(made).startswith(f"NOT COMPLETE, as far as {end}: ")
    assert f"\n! NOT COMPLETE: as far as {end}, for there are too many" in forecast_text(made, "nothing")
    headings = [
        one.text or ""
        for one in ElementTree.fromstring(timeline(made)).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert headings[0].startswith(f"Forecast NOT COMPLETE, as far as {end}: ")
    assert " ".join(headings[:2]).startswith(f"Forecast {summary(made)[:90]}")


def test_leads_of_one_edge_are_told_each_with_its_time_and_on_its_day() -> None:
    """One begins on the day before, at 23:40, and the other 10 minutes after midnight."""
    windows = [
        builders.window("00:30", "03:00", {name: 3}, lead=lead, name=name)
        for name, lead in (("m", 3000.0), ("n", 1200.0))
    ]
    of = fleet(
        [host("h1")],
        [service("m"), service("n")],
        tuple(
            builders.policy(name=f"of-{one.name}", base=builders.amounts({one.name: 1}), windows=(one,))
            for one in windows
        ),
    )
    text = forecast_text(of_day(of, days=2), "nothing")
    assert "  00:00   lead of m at 00:30 has begun at 23:40\n" in text
    assert text.count("  00:10   lead of n at 00:30 begins\n") == 2
    assert text.count("  23:40   lead of m at 00:30 begins\n") == 2
    late = [replace(one, hours=replace(one.hours, start=time(1))) for one in windows]
    moved = replace(
        of, policies=tuple(replace(one, windows=(late[at],)) for at, one in enumerate(of.policies))
    )
    assert "  00:10   leads of m (00:10) and n (00:40) at 01:00 begin\n" in forecast_text(
        of_day(moved), "nothing"
    )


def test_policies_and_workloads_that_are_called_alike_are_told_apart() -> None:
    window = builders.window("07:00", "20:00", {"web": 2}, lead=600.0)
    mine = builders.policy(base=builders.amounts({"web": 1}), windows=(window,))
    other = builders.service("web")
    other = replace(other, id=replace_namespace(other.id))
    theirs = replace(
        mine,
        namespace="lab",
        base={other.id: mine.base[service("web").id]},
        windows=(replace(window, replicas={other.id: window.replicas[service("web").id]}),),
    )
    made = of_day(fleet([host("h1")], [service("web"), other], (mine, theirs)))
    text = forecast_text(made, "nothing")
    assert "  06:50   leads of lab/day-night/day and shop/day-night/day at 07:00 begin\n" in text
    assert "lab/web 1 -> 2, shop/web 1 -> 2" in text
    document = forecast_document(made, "", "nothing")
    leads = [one["policy"] for instant in document["instants"] for one in instant["leads"]]
    edges = [one["policy"] for instant in document["instants"] for one in instant["edges"]]
    assert set(leads) == set(edges) == {"shop/day-night", "lab/day-night"}


def replace_namespace(workload: WorkloadId) -> WorkloadId:
    return WorkloadId("lab", workload.name)


def test_growth_without_room_before_its_edge_is_no_lead_that_begins() -> None:
    window, night = day_and_night({"web": 8, "etl": 0}, {"web": 0, "etl": 8})
    of = shop(
        [host("h1"), host("h2")],
        [service("web", cpu=1000), service("etl", cpu=1000)],
        replace(window, lead=600.0),
        night=night,
    )
    text = forecast_text(of_day(of), "nothing")
    assert "  06:50   no room before the edge at 07:00: 8 of web follow it\n" in text
    assert "(8 to start once others have stopped, 8 to stop)" in text


def test_growth_that_is_ahead_of_its_edge_is_not_lost_yet() -> None:
    window, night = day_and_night({"web": 7}, {"web": 4})
    of = shop([host("h1"), host("h2")], [service("web", cpu=1000)], replace(window, lead=600.0), night=night)
    lead, edge = of_day(of, losses=9).instants[1:3]
    assert (bool(lead.leads), lead.survives) == (True, True)
    assert edge.survives is False


def test_a_fleet_without_hosts_is_not_said_to_survive() -> None:
    made = of_day(fleet([], [service("web")]), losses=9)
    assert made.instants[0].survives is None
    assert "survives" not in forecast_text(made, "nothing")
    beyond = of_day(shop([host("h1"), host("h2")], [service("web", cpu=9000)], night={"web": 1}), losses=9)
    assert "any one host: yes, beyond what has no place anyway" in summary(beyond)
