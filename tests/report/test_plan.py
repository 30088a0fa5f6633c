"""The words of a plan for every kind of change, and its sums."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from jsonschema import Draft202012Validator

from rota.core.decide import Unplaced, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import FailedSpec, GoodSpec, Ledger
from rota.core.model import CapacityPolicy, Loss
from rota.core.placement.demand import Refusal
from rota.core.placement.headroom import Headroom, Shortfall
from rota.core.planning.actions import Change, ChangeKind
from rota.core.planning.drains import DrainState, Forced
from rota.core.planning.waits import WITHHELD, Wait, WaitReason
from rota.core.why import explain
from rota.core.windows import InForce
from rota.report.edges import Edge
from rota.report.explanation import render_explanation
from rota.report.markdown import plan_markdown
from rota.report.plan import ObjectDiff, Plan, plan_document, plan_of, render_text
from tests import builders
from tests.core.scenes import NOW, seen

NOON = datetime(2026, 6, 1, 10, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
WEB, OLD = WorkloadId("shop", "web"), WorkloadId("shop", "old")
COMMIT = "commit 2222222"


def change(kind: ChangeKind, slot: int, **fields: str | None) -> Change:
    made = Change(kind=kind, workload=WEB, slot=slot, cause=COMMIT)
    return replace(made, **fields)  # type: ignore[arg-type]


def plan(*changes: Change, **fields: object) -> Plan:
    made = Plan(
        head="2" * 40,
        base="1" * 40,
        observed="status 3333333",
        now=NOON,
        windows=(),
        changes=changes,
        unplaced=(),
        counts={WEB: 4},
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def in_force(policy: CapacityPolicy, window: str) -> InForce:
    return InForce(policy=policy, window=window, until=None, then=None, forced_by=None)


START, STOP, REPLACE, MOVE = ChangeKind.START, ChangeKind.STOP, ChangeKind.REPLACE, ChangeKind.MOVE

EVERY_KIND = (
    change(START, 0, host="h1"),
    change(START, 1, host="h1"),
    change(START, 2, host="h1", wait=Wait(WaitReason.ROOM_COMES, "room on h1 is being freed")),
    change(START, 3, host="h2", source="h2", cause="it does not run"),
    change(START, 4, wait=Wait(WaitReason.NO_SEAT, "no host admits it")),
    change(STOP, 5, source="h1"),
    change(STOP, 6, source="h1", cause="window day-night/base"),
    change(STOP, 7, source="h3", wait=Wait(WaitReason.HOST, "h3 does not answer")),
    change(STOP, 8, source="h2", wait=WITHHELD),
    change(REPLACE, 9, source="h1", host="h1"),
    change(REPLACE, 10, source="h1", host="h1", wait=Wait(WaitReason.BUDGET, "maxSurge is 25%")),
    change(REPLACE, 11, source="h1", host="h2", cause="replaced by shop.shop.web.11.0a0a0a0a"),
    change(REPLACE, 12, source="h1", cause="label disk=ssd is not met"),
    change(MOVE, 13, source="h1", host="h2"),
    change(MOVE, 14, source="h1", host="h2", cause="its host left the fleet"),
    change(
        MOVE,
        15,
        source="h1",
        cause="its host left the fleet",
        wait=Wait(WaitReason.BUDGET, "maxUnavailable is reached"),
    ),
    change(MOVE, 16, source="h1", cause="its host left the fleet"),
)

EVERY_KIND_IN_WORDS = """\
Plan for 1111111..2222222   (observed: status 3333333, 2026-06-01T10:00:00Z)
~ Service shop/web   (4 to start, 4 to replace, 4 to move, 4 to stop, 1 unplaced)
    + web/0, web/1 on h1
    + web/2 on h1 (waits: room on h1 is being freed)
    + web/3 on h2: it does not run
    - web/5 on h1
    - web/6 on h1: window day-night/base
    - web/7 on h3 (waits: h3 does not answer)
    - web/8 on h2 (withheld: PruneBlocked)
    ~ web/9 on h1
    ~ web/10 on h1 (waits: maxSurge is 25%)
    ~ web/11 from h1 to h2: replaced by shop.shop.web.11.0a0a0a0a
    ~ web/12 away from h1: label disk=ssd is not met (where to is chosen once it has stopped)
    > web/13 from h1 to h2
    > web/14 from h1 to h2: its host left the fleet
    > web/15 away from h1: its host left the fleet (waits: maxUnavailable is reached)
    > web/16 away from h1: its host left the fleet (where to is chosen once it has stopped)
! Service shop/web: 1 of 4 instances has no place
    h1, h2: cpu short by 100m
    h3: cordoned by its manifest
Plan: 4 to start, 4 to replace, 4 to move, 4 to stop (1 of them withheld), 1 unplaced
"""

REFUSALS = (
    Refusal(filter="cpu", hosts=("h1", "h2"), detail="cpu short by 100m"),
    Refusal(filter="schedulable", hosts=("h3",), detail="cordoned by its manifest"),
)


def test_every_kind_of_change() -> None:
    made = plan(*EVERY_KIND, unplaced=(Unplaced(workload=WEB, count=1, refusals=REFUSALS),))
    assert render_text(made) == EVERY_KIND_IN_WORDS


def as_its_schema_says(document: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).resolve().parents[2] / "schemas/plan.json").read_text())
    Draft202012Validator(schema).validate(document)


def test_the_sums_of_text_and_json_are_the_same() -> None:
    made = plan(*EVERY_KIND, unplaced=(Unplaced(workload=WEB, count=1, refusals=REFUSALS),))
    document = plan_document(made)
    assert document["summary"] == {"start": 4, "stop": 4, "replace": 4, "move": 4, "unplaced": 1, "forced": 0}
    assert sum(document["summary"].values()) == len(EVERY_KIND)
    as_its_schema_says(document)


def test_objects_come_with_their_instances() -> None:
    diffs = (
        ObjectDiff(
            change="~", kind="CapacityPolicy", name="shop/day-night", fields=("~ windows.day.start: 1 -> 2",)
        ),
        ObjectDiff(change="+", kind="Host", name="h9", fields=()),
        ObjectDiff(change="~", kind="Service", name="shop/web", fields=("~ replicas: 3 -> 4",)),
    )
    gone = replace(change(STOP, 0, source="h1"), workload=OLD)
    assert render_text(plan(change(START, 3, host="h1"), gone, diffs=diffs)) == (
        "Plan for 1111111..2222222   (observed: status 3333333, 2026-06-01T10:00:00Z)\n"
        "~ CapacityPolicy shop/day-night\n"
        "    ~ windows.day.start: 1 -> 2\n"
        "+ Host h9\n"
        "~ Service shop/web   (1 to start)\n"
        "    ~ replicas: 3 -> 4\n"
        "    + web/3 on h1\n"
        "- Service shop/old   (1 to stop)\n"
        "    - old/0 on h1\n"
        "Plan: 1 to start, 1 to stop\n"
    )


def test_what_holds_it_back_and_what_is_to_be_known() -> None:
    made = plan(
        held="suspended until Tuesday", blocked="too much goes", warnings=("one", "two"), base="", head=""
    )
    assert render_text(made) == (
        "Plan for the working tree   (observed: status 3333333, 2026-06-01T10:00:00Z)\n"
        "! suspended until Tuesday\n! too much goes\n! one\n! two\nPlan: nothing to change\n"
    )


def test_edges_of_one_policy_and_of_two_zones() -> None:
    def edge(zone: str, policy: str, counts: tuple[tuple[WorkloadId, int, int], ...]) -> Edge:
        return Edge(
            at=NOON.astimezone(ZoneInfo(zone)), policy=policy, before="day", after="base", counts=counts
        )

    one = (edge("Europe/Berlin", "hours", ((WEB, 3, 1), (OLD, 0, 2))),)
    assert "Edges in the next 24 h: 12:00 day -> base (web 3 -> 1, old 0 -> 2)\n" in render_text(
        plan(edges=one)
    )
    two = (*one, edge("Asia/Tokyo", "office", ()))
    text = render_text(plan(edges=two))
    assert "12:00 Europe/Berlin hours day -> base (web 3 -> 1, old 0 -> 2) · 19:00 Asia/Tokyo office" in text


def test_an_edge_to_what_is_left_over_names_no_number() -> None:
    edge = Edge(at=NOON, policy="hours", before="day", after="base", counts=((WEB, 2, None), (OLD, None, 4)))
    made = plan(edges=(edge,), fills={OLD: 17})
    assert "Edges in the next 24 h: 10:00 day -> base (web 2 -> fill, old fill -> 4)\n" in render_text(made)
    assert "\nFill what is left over: shop/old 17\n" in render_text(made)
    document = plan_document(made)
    assert document["edges"][0]["counts"] == [
        {"workload": "shop/web", "from": 2, "to": "fill"},
        {"workload": "shop/old", "from": "fill", "to": 4},
    ]
    assert document["fills"] == [{"workload": "shop/old", "count": 17}]
    as_its_schema_says(document)


def test_moves_and_preemptions_say_whom_they_make_room_for() -> None:
    room = "makes room for shop/big"
    made = plan(
        change(MOVE, 0, source="h1", host="h2", cause=room),
        change(STOP, 1, source="h1", cause=f"{room}, which has a higher priority than 50"),
    )
    text = render_text(made)
    assert "    > web/0 from h1 to h2: makes room for shop/big\n" in text
    assert "    - web/1 on h1: makes room for shop/big, which has a higher priority than 50\n" in text
    assert plan_document(made)["changes"][0]["cause"] == room


def headroom(*shortfalls: Shortfall, **fields: object) -> Headroom:
    nothing = np.zeros((0, 2), np.int64)
    made = Headroom(loss=Loss.HOST, shortfalls=shortfalls, reserve=nothing, checked=3, losses=3)
    return replace(made, **fields)  # type: ignore[arg-type]


def shortfall(lost: str) -> Shortfall:
    return Shortfall(lost=lost, workload=WEB, count=2, refusals=REFUSALS[:1])


def test_whether_a_loss_is_survived() -> None:
    def lines(of: Headroom | None) -> list[str]:
        return render_text(plan(headroom=of)).splitlines()[1:-1]

    assert lines(None) == []
    assert lines(headroom()) == ["Survives the loss of any one host: yes"]
    assert lines(headroom(loss=Loss.ZONE)) == ["Survives the loss of any one zone: yes"]
    words = "2 of shop/web: h1, h2: cpu short by 100m"
    assert lines(headroom(shortfall("h3"))) == [f"Survives the loss of any one host: no: without h3, {words}"]
    assert lines(headroom(shortfall("h3"), shortfall("h4"), losses=9)) == [
        "Survives the loss of any one host (3 of 9 losses were played through, the fullest first): no",
        f"    without h3, {words}",
        f"    without h4, {words}",
    ]


def test_the_document_says_whether_a_loss_is_survived() -> None:
    assert plan_document(plan())["survives"] is None
    document = plan_document(plan(headroom=headroom(shortfall("h3"))))
    as_its_schema_says(document)
    assert document["survives"]["loss"] == "hosts"
    assert [one["lost"] for one in document["survives"]["shortfalls"]] == ["h3"]


def test_the_windows_in_force() -> None:
    hours = builders.policy(zone=BERLIN, name="hours")
    assert "Mon 2026-06-01 12:00 Europe/Berlin, window day)" in render_text(
        plan(windows=(in_force(hours, "day"),))
    )
    both = (in_force(hours, "day"), in_force(replace(hours, name="office"), "base"))
    assert "windows hours/day, office/base)" in render_text(plan(windows=both))


def test_nothing_leaves_its_line() -> None:
    """A failure's words come from an Engine: no line break and no control sequence gets through."""
    hostile = "bad\nPlan: nothing to change\x1b[2J\u202e"
    made = plan(
        change(START, 0, host="h1", wait=Wait(WaitReason.HOST, hostile), cause=hostile),
        unplaced=(
            Unplaced(
                workload=OLD, count=1, refusals=(Refusal(filter="state", hosts=("h1",), detail=hostile),)
            ),
        ),
        warnings=(hostile,),
    )
    text = render_text(made)
    assert text.replace("\n", "").isprintable()
    assert text.count("\nPlan: ") == 1


def test_without_hosts_nothing_has_a_place() -> None:
    made = plan(change(START, 0), unplaced=(Unplaced(workload=WEB, count=1, refusals=()),), counts={WEB: 1})
    assert "! Service shop/web: 1 of 1 instance has no place\n    there is no host\n" in render_text(made)


def test_what_a_drain_stops_by_force_stands_in_front() -> None:
    stuck = (Forced(workload=WEB, slot=0, why="its volumes are on h1"),)
    drain = DrainState(host="h1", cause="drained", deadline=NOON + timedelta(minutes=10), left=2, stuck=stuck)
    dated, unseen = plan(drains=(drain,)), plan(drains=(drain,), unseen_drains=frozenset({"h1"}))
    forced = "! shop/web/0 is stopped by force if it is still on h1 then: its volumes are on h1\n"
    sum_line = "Plan: 1 to be stopped by force\n"
    assert render_text(dated).partition("\n")[2] == (
        f"Drain of h1: 2 instances to leave, by 2026-06-01T10:10:00Z\n{forced}{sum_line}"
    )
    assert "to leave, within 10m after it is seen\n" in render_text(unseen)
    assert f"- {forced[2:]}" in plan_markdown(dated).partition("<details>")[0]
    as_its_schema_says(plan_document(dated))
    endless = render_text(plan(drains=(replace(drain, deadline=None),)))
    assert "    shop/web/0 stays, for there is no deadline: its volumes are on h1\n" in endless
    assert endless.endswith("Plan: nothing to change\n")


def test_a_spec_that_failed_is_said_to_have_and_what_holds_instead() -> None:
    web = builders.service("web", 1)
    of = builders.fleet([builders.host("h1")], [web])
    failed = FailedSpec(
        spec=web.spec_hash, document=web.document_hash, revision="2" * 40, reason="no progress", reverts=True
    )
    good = GoodSpec(spec="v1:old", revision="1" * 40, container=web.container, requests=web.requests)
    ledger = Ledger(failed={web.id: failed}, good={web.id: good})
    decision = decide(of, seen(of), ledger, NOW)
    line = (
        "! Service shop/web: commit 2222222 failed (no progress); "
        "the spec of commit 1111111 holds until its document changes\n"
    )
    assert line in render_text(plan_of(of, decision, NOW))
    assert line in render_explanation(explain(web.id, of, seen(of), ledger, NOW))
