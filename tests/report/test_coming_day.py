"""The edges of the coming day in a plan: whose they are, which counts they change, and how many are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rota.core.forecast.settle import Snapshot
from rota.core.forecast.walk import forecast
from rota.core.ledger import Ledger
from rota.core.model import Fleet, Override, Scheduled
from rota.report.edges import COMING_DAY, Edge, coming_day_lines, edge_document, edges_of_day
from tests import builders
from tests.builders import fleet, host, service
from tests.core.scenes import seen

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
"""02:00 in Berlin."""


def coming(of: Fleet, start: datetime = MONDAY) -> tuple[list[Edge], list[str]]:
    """The edges, and their lines."""
    end = start + COMING_DAY + timedelta(microseconds=1)
    made = forecast(of, Snapshot(observed=seen(of), ledger=Ledger()), (start, end))
    edges = edges_of_day(of, start, made)
    return edges, coming_day_lines(edges, made)


def of_two() -> Fleet:
    """Two policies whose windows open at one instant, each for a workload of its own."""
    policies = (
        builders.policy(
            name=name,
            base=builders.amounts({workload: 1}),
            windows=(builders.window("07:00", "20:00", {workload: 3}, lead=lead),),
        )
        for name, workload, lead in (("p", "web", 600.0), ("q", "etl", 0.0))
    )
    return fleet([host("h1")], [service("web"), service("etl")], tuple(policies))


def test_each_policy_has_the_counts_of_its_own_rule() -> None:
    edges, (line,) = coming(of_two())
    told = [
        (edge.policy, [(one.name, before, after) for one, before, after in edge.counts]) for edge in edges
    ]
    assert told == [
        ("shop/p", [("web", 1, 3)]),
        ("shop/q", [("etl", 1, 3)]),
        ("shop/p", [("web", 3, 1)]),
        ("shop/q", [("etl", 3, 1)]),
    ]
    assert line.startswith(
        "Edges in the next 24 h: 07:00 p base -> day (web 1 -> 3), begins 06:50 · "
        "07:00 q base -> day (etl 1 -> 3) · "
    )


def test_policies_called_alike_are_named_in_full() -> None:
    first, second = of_two().policies
    second = replace(second, namespace="lab", name="p")
    edges, (line,) = coming(replace(of_two(), policies=(first, second)))
    assert {edge.policy for edge in edges} == {"shop/p", "lab/p"}
    assert "07:00 shop/p base -> day (" in line
    assert "07:00 lab/p base -> day" in line


def test_an_override_that_begins_or_ends_is_an_edge() -> None:
    sale = Override(
        namespace="shop",
        name="sale",
        target_kind="Service",
        target_name="web",
        start=MONDAY + timedelta(hours=8),
        until=MONDAY + timedelta(hours=10),
        reason="sale",
        replicas=builders.amounts({"web": 50})[service("web").id],
    )
    edges, lines = coming(replace(of_two(), overrides=(sale,)))
    assert "10:00 Override sale begins (web 3 -> 50), begins 09:" in lines[0]
    assert " · 12:00 Override sale ends (web 50 -> 3)" in lines[0]
    assert any(one.startswith("! 10:00 Override sale begins: Service shop/web: ") for one in lines[1:])
    documents = [edge_document(edge) for edge in edges if edge.override is not None]
    assert [(one["override"], one["change"], one["policy"]) for one in documents] == [
        ("shop/sale", "begins", ""),
        ("shop/sale", "ends", ""),
    ]


def test_an_edge_a_whole_day_ahead_is_judged_too() -> None:
    edges, _ = coming(of_two(), datetime(2026, 6, 1, 5, tzinfo=UTC))
    assert edges[-1].at == datetime(2026, 6, 2, 5, tzinfo=UTC)
    assert edges[-1].instant is not None
    assert edges[-2].begins is not None


def test_of_many_edges_the_first_few_are_told() -> None:
    window = replace(
        builders.window("00:00", "00:05", {"web": 3}), hours=Scheduled(cron="*/10 * * * *", duration=300.0)
    )
    of = fleet(
        [host("h1")],
        [service("web")],
        (builders.policy(base=builders.amounts({"web": 1}), windows=(replace(window, lead=0.0),)),),
    )
    edges, (line,) = coming(of)
    assert len(edges) == 288
    assert line.count(" -> 3)") == 3
    assert line.endswith(" · and 282 more: rota plan --day 2026-06-01")
