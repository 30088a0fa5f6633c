"""What is an event: two passes side by side, and what is told of how they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rota.core.causes import cause_kind
from rota.core.decide import Decision
from rota.core.edge_lines import edge_lines
from rota.core.event import Event, Moment, Remembered, recalled
from rota.core.events import MOST_A_PASS, events
from rota.core.ledger import Applied, EdgeRecord, FailedSpec, GoodSpec, HostRecord, Ledger, Rollout
from rota.core.observed import Deaths, Hold, HostState, Now, ObservedState, Outcome, Result
from rota.core.planning.actions import Change, ChangeKind
from rota.core.planning.drains import DrainState, Forced
from rota.core.planning.guard import Verdict
from rota.core.planning.rollout import NEEDS_IMAGE
from rota.core.planning.waits import WITHHELD, Wait, WaitReason
from rota.core.status import FleetStatus, SourceStatus, summarise
from tests.builders import fleet, host, service
from tests.core.scenes import NOW, change_view, later, running, seen

WEB = service("web", 3)
FLEET = fleet([host("h1"), host("h2")], [WEB])
CALM = Verdict(removals={}, limit=3, blocked={})
GOOD = GoodSpec(spec="v1:a", revision="1" * 40, container=WEB.container, requests=WEB.requests)
FAILED = FailedSpec(spec="v1:b", document="d", revision="2" * 40, reason="no progress in 600s", reverts=True)
EDGE = EdgeRecord(
    at=datetime(2026, 6, 1, 5, tzinfo=UTC),
    policy="hours",
    window="day",
    workload=WEB.id,
    wanted=3,
    ready=3,
    begun=datetime(2026, 6, 1, 4, tzinfo=UTC),
    offset=-4.0,
    over=True,
)


def decision(**stated: Any) -> Decision:
    """A decision in which nothing is to be done, but for what is stated."""
    usual: dict[str, Any] = {
        "fleet": FLEET,
        "changes": (),
        "actions": (),
        "unplaced": (),
        "wants": {},
        "windows": (),
        "guard": CALM,
        "cordons": {},
        "ledger": Ledger(),
        "brake": "",
        "drains": (),
    }
    return Decision(**{one.name: None for one in fields(Decision)} | usual | stated)


def status(source: SourceStatus | None = None, ledger: Ledger | None = None) -> FleetStatus:
    made = summarise(None, ObservedState(), None, source or SourceStatus(), Ledger())
    return replace(made, edges=tuple(edge_lines(FLEET, (ledger or Ledger()).edges)))


def moment(observed: ObservedState | None = None, now: Now = NOW, **stated: Any) -> Moment:
    made = decision(**stated)
    return Moment(
        status=status(ledger=made.ledger),
        now=now,
        fleet=FLEET,
        observed=observed or seen(FLEET),
        decision=made,
    )


def told(found: Iterable[Event]) -> list[str]:
    return [f"{one.event} {one.object} {one.reason}: {one.message}" for one in found]


def between(first: Moment, second: Moment) -> list[str]:
    """What happened from one pass to the next."""
    before, _ = events(Remembered(), first)
    return told(events(before, second)[1])


NO_ROOM = Wait(WaitReason.NO_ROOM_FOR_SURGE, "no room")
NO_PLACE = Wait(WaitReason.NO_SEAT, "no place")
SOAKS = Wait(WaitReason.SOAK, "soaks")


def wait(slot: int, why: Wait | None, cause: str = "commit 1111111") -> Change:
    return Change(kind=ChangeKind.START, workload=WEB.id, slot=slot, cause=cause, wait=why)


def outcome(slot: int = 0, **stated: Any) -> Outcome:
    usual = {
        "action": f"start {slot}",
        "verb": "start",
        "host": "h1",
        "workload": WEB.id,
        "slot": slot,
        "spec": "v1:a",
        "result": Result.DONE,
        "cause": "commit 1111111",
    }
    return Outcome(**usual | stated)  # type: ignore[arg-type]


def test_the_first_pass_tells_its_revision_and_nothing_of_what_is_well() -> None:
    assert told(events(Remembered(), moment())[1]) == ["revision Fleet RevisionAdopted: now at 111111111111"]


def test_a_daemon_that_starts_again_knows_its_revision() -> None:
    before = recalled(Ledger(applied=Applied(revision="1" * 40, at=NOW.wall)))
    assert events(before, moment())[1] == ()


def test_what_a_daemon_finds_as_it_was_left_is_no_news() -> None:
    under_way = Ledger(applied=Applied(revision="1" * 40, at=NOW.wall), rollouts={WEB.id: TRIED})
    looking = moment(held=Hold("FirstLook", "waiting", passing=True))
    there = moment(changes=(wait(0, NO_ROOM),), brake="2 of 2 are lost", ledger=under_way)
    before, none = events(recalled(replace(under_way, rollouts={})), looking)
    assert none == ()
    before, none = events(before, there)
    assert none == ()
    assert told(events(before, moment(ledger=under_way))[1]) == [
        "brake Fleet BrakeReleased: what lost hosts ran is replaced again"
    ]


def test_what_a_commit_brings_that_came_meanwhile_is_news() -> None:
    under_way = Ledger(applied=Applied(revision="2" * 40, at=NOW.wall))
    looking = moment(held=Hold("FirstLook", "waiting", passing=True))
    before, _ = events(recalled(under_way), looking)
    assert told(events(before, moment(changes=(wait(0, NO_ROOM),)))[1]) == [
        "wait Service shop/web NoRoomForSurge: no room"
    ]


def test_an_unchanged_world_is_silent() -> None:
    busy = moment(
        seen(FLEET, silent="h2"),
        changes=(wait(0, NO_ROOM),),
        held=Hold("Suspended", "until noon"),
        guard=replace(CALM, message="the commit removes 9"),
        brake="2 of 2 hosts are lost",
        cordons={"h1": "by its manifest"},
        ledger=Ledger(
            rollouts={WEB.id: Rollout(spec="v1:b", best=0, since=1.0)},
            failed={WEB.id: FAILED},
            good={WEB.id: GOOD},
            drains={"h1": NOW.wall},
            edges=(EDGE,),
        ),
    )
    assert between(busy, busy) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (HostState.REACHABLE, HostState.SUSPECT, ["host Host h2 HostSuspect: is suspect: no answer"]),
        (HostState.SUSPECT, HostState.LOST, ["host Host h2 HostLost: is lost: no answer"]),
        (HostState.LOST, HostState.REACHABLE, ["host Host h2 HostReachable: answers again; it was lost"]),
        (HostState.REACHABLE, HostState.REFUSED, ["host Host h2 HostRefused: is refused: no answer"]),
        (HostState.UNKNOWN, HostState.REACHABLE, []),
        (HostState.UNKNOWN, HostState.LOST, ["host Host h2 HostLost: is lost: no answer"]),
        (HostState.LOST, HostState.LOST, []),
    ],
)
def test_what_becomes_of_a_host(before: HostState, after: HostState, said: list[str]) -> None:
    def of(state: HostState) -> Moment:
        return moment(change_view(seen(FLEET), "h2", state=state, detail="no answer"))

    assert between(of(before), of(after)) == said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            {},
            {"held": Hold("Suspended", "until noon")},
            ["hold Fleet Suspended: until noon"],
        ),
        (
            {"held": Hold("Suspended", "until noon")},
            {},
            ["hold Fleet Released: Suspended is over: changes are made again"],
        ),
        ({}, {"held": Hold("FirstLook", "waiting", passing=True)}, []),
        (
            {},
            {"guard": replace(CALM, message="the commit removes 9")},
            ["guard Fleet PruneBlocked: the commit removes 9"],
        ),
        (
            {"guard": replace(CALM, message="the commit removes 9")},
            {},
            ["guard Fleet PruneAllowed: nothing is withheld any more"],
        ),
        ({}, {"brake": "2 of 3 are lost"}, ["brake Fleet Braked: 2 of 3 are lost"]),
        ({"brake": "2 of 3 are lost"}, {"brake": "3 of 3 are lost"}, []),
        (
            {"brake": "2 of 3 are lost"},
            {},
            ["brake Fleet BrakeReleased: what lost hosts ran is replaced again"],
        ),
        ({}, {"cordons": {"h1": "by its manifest"}}, ["host Host h1 Cordoned: by its manifest"]),
        ({"cordons": {"h1": "by its manifest"}}, {}, ["host Host h1 Uncordoned: takes new instances again"]),
        (
            {},
            {"ledger": Ledger(drains={"h1": NOW.wall})},
            [
                "host Host h1 DrainBegun: everything is to leave it",
                "host Host h1 Drained: nothing of the fleet runs there any more",
            ],
        ),
        (
            {"ledger": Ledger(drains={"h1": NOW.wall})},
            {},
            ["host Host h1 DrainEnded: it is not drained any more"],
        ),
    ],
)
def test_what_holds_for_hosts_and_the_fleet(
    before: dict[str, Any], after: dict[str, Any], said: list[str]
) -> None:
    assert between(moment(**before), moment(**after)) == said


def test_a_drain_says_until_when_and_what_has_nowhere_to_go() -> None:
    forced = tuple(Forced(workload=WEB.id, slot=slot, why="no host admits it") for slot in range(6))
    drain = DrainState(host="h1", cause="its manifest", deadline=NOW.wall, left=7, stuck=forced)
    begun = {"ledger": Ledger(drains={"h1": NOW.wall})}
    there = seen(FLEET, running(WEB, 0, "h1"))
    assert between(moment(there), moment(there, **begun, drains=(drain,))) == [
        (
            "host Host h1 DrainBegun: 7 are to leave it until 2026-06-01T12:00:00Z; what is there then is "
            "stopped; nowhere to go yet: shop/web/0, shop/web/1, shop/web/2, shop/web/3, shop/web/4, ..."
        )
    ]
    calm = replace(drain, deadline=None, stuck=())
    assert between(moment(there), moment(there, **begun, drains=(calm,))) == [
        "host Host h1 DrainBegun: 7 are to leave it"
    ]


def test_every_death_is_told_once() -> None:
    key = (WEB.id, 1, WEB.spec_hash)

    def after(*at: float) -> Moment:
        deaths = {key: Deaths(at, "exited with 1")} if at else {}
        return moment(change_view(seen(FLEET), "h2", deaths=deaths))

    said = "death Service shop/web Died: exited with 1"
    assert between(after(), after(5.0)) == [said]
    assert between(after(5.0), after(5.0)) == []
    assert between(after(5.0), after(5.0, 9.0)) == [said]
    before, _ = events(Remembered(), after())
    (both,) = events(before, after(5.0, 6.0))[1]
    assert (both.slot, both.host, both.count) == (1, "h2", 2)


def test_what_died_before_the_daemon_started_is_no_news() -> None:
    deaths = {(WEB.id, 1, WEB.spec_hash): Deaths((5.0,), "exited with 1")}
    before = recalled(Ledger(applied=Applied(revision="1" * 40, at=NOW.wall)))
    assert events(before, moment(change_view(seen(FLEET), "h2", deaths=deaths)))[1] == ()


def test_hosts_that_come_and_go() -> None:
    record = HostRecord(endpoint="tcp://a:1", address="a")
    first, second = Ledger(hosts={"h1": record}), Ledger(hosts={"h2": record})
    assert between(moment(ledger=first), moment(ledger=second)) == [
        "host Host h2 HostJoined: is a host of the fleet now",
        "host Host h1 HostLetGo: left the fleet, and nothing is known to run there",
    ]
    assert between(moment(), moment(ledger=first)) == [], "the first hosts of a fleet are no news"


TRIED = Rollout(spec="v1:b", best=0, since=1.0)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (Ledger(), Ledger(rollouts={WEB.id: TRIED}), ["RolloutBegun: to spec b"]),
        (
            Ledger(rollouts={WEB.id: TRIED}),
            Ledger(rollouts={WEB.id: replace(TRIED, spec="v1:c")}),
            ["RolloutBegun: to spec c, instead of spec b"],
        ),
        (
            Ledger(rollouts={WEB.id: TRIED}),
            Ledger(rollouts={WEB.id: replace(TRIED, canary_since=5.0)}),
            ["CanariesHealthy: canaries of spec b are healthy"],
        ),
        (Ledger(rollouts={WEB.id: TRIED}), Ledger(rollouts={WEB.id: replace(TRIED, best=2)}), []),
        (
            Ledger(rollouts={WEB.id: TRIED}, good={WEB.id: GOOD}),
            Ledger(good={WEB.id: replace(GOOD, spec="v1:b", revision="2" * 40)}),
            ["RolloutDone: spec b of commit 2222222 is healthy everywhere"],
        ),
        (
            Ledger(rollouts={WEB.id: TRIED}, good={WEB.id: GOOD}),
            Ledger(
                rollouts={WEB.id: replace(TRIED, spec="v1:a")}, good={WEB.id: GOOD}, failed={WEB.id: FAILED}
            ),
            [
                "RollbackBegun: to spec a, instead of spec b",
                (
                    "RolledBack: spec b of commit 2222222 failed: no progress in 600s; "
                    "back to spec a of commit 1111111"
                ),
            ],
        ),
        (
            Ledger(),
            Ledger(failed={WEB.id: replace(FAILED, reverts=False)}),
            ["RolloutPaused: spec b of commit 2222222 failed: no progress in 600s; it waits for people"],
        ),
        (
            Ledger(failed={WEB.id: FAILED}),
            Ledger(failed={WEB.id: replace(FAILED, stuck=True)}),
            [
                (
                    "RollbackStalled: spec b of commit 2222222 failed: no progress in 600s; the way back to "
                    "what was good before makes no progress either"
                )
            ],
        ),
        (Ledger(failed={WEB.id: FAILED}), Ledger(), []),
    ],
)
def test_what_becomes_of_a_rollout(before: Ledger, after: Ledger, said: list[str]) -> None:
    found = between(moment(ledger=before), moment(ledger=after))
    assert found == [f"rollout Service shop/web {one}" for one in said]


def test_an_edge_is_told_once() -> None:
    ahead = replace(EDGE, over=False)
    before, after = moment(ledger=Ledger(edges=(ahead,))), moment(ledger=Ledger(edges=(EDGE,)))
    (said,) = between(before, after)
    assert said.startswith("edge Service shop/web EdgeMet: edge day: 3/3 web healthy 4 s before")
    assert between(after, after) == []


def test_a_wait_is_told_when_it_begins_and_when_its_reason_changes() -> None:
    first = moment(changes=(wait(0, NO_ROOM), wait(1, None)))
    second = moment(changes=(wait(0, NO_ROOM), wait(1, NO_ROOM)))
    third = moment(changes=(wait(0, NEEDS_IMAGE), wait(1, NO_ROOM)))
    assert told(events(Remembered(revision="1" * 40), first)[1]) == [
        "wait Service shop/web NoRoomForSurge: no room"
    ]
    assert between(first, second) == ["wait Service shop/web NoRoomForSurge: no room"]
    assert between(second, third) == ["wait Service shop/web ImagePending: its image is not on the host yet"]
    assert between(third, third) == []


def test_slots_that_wait_for_one_thing_are_one_event() -> None:
    many = moment(changes=tuple(wait(slot, WITHHELD) for slot in range(9)))
    (one,) = events(Remembered(revision="1" * 40), many)[1]
    assert (one.count, one.slot, one.reason, one.cause_kind) == (9, None, "PruneBlocked", "commit")


def test_before_every_host_was_looked_at_nothing_is_said_of_waits() -> None:
    unseen = change_view(seen(FLEET), "h2", state=HostState.UNKNOWN)
    first, second = moment(unseen, changes=(wait(0, NO_ROOM),)), moment(changes=(wait(0, NO_PLACE),))
    assert between(moment(), first) == []
    assert between(first, second) == ["wait Service shop/web NoSeat: no place"]


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, "start Service shop/web Started: "),
        ({"verb": "stop"}, "stop Service shop/web Stopped: "),
        ({"verb": "restart"}, "restart Service shop/web Restarted: "),
        ({"verb": "resolve"}, "resolve Service shop/web ImageLookUpDone: "),
        (
            {"verb": "image", "result": Result.FAILED, "message": "no such image"},
            "image Service shop/web ImagePullFailed: no such image",
        ),
        ({"result": Result.UNKNOWN, "message": "silent"}, "start Service shop/web StartUnknown: silent"),
    ],
)
def test_how_actions_ended(stated: dict[str, Any], said: str) -> None:
    after = moment(replace(seen(FLEET), outcomes=(outcome(**stated),)))
    assert between(moment(), after) == [said]


def test_a_duplicate_is_told_with_the_seconds_that_both_ran() -> None:
    cause = "duplicate of web.0 on h2"
    both = seen(FLEET, running(WEB, 0, "h1"), running(WEB, 0, "h2"))
    change = Change(kind=ChangeKind.STOP, workload=WEB.id, slot=0, cause=cause, source="h1", wait=SOAKS)
    before, _ = events(Remembered(), moment(both, changes=(change,)))
    before, _ = events(before, moment(both, later(5), changes=(replace(change, wait=None),)))
    stopping = change_view(both, "h1", stopping=frozenset({both.hosts["h1"].containers[0].id}))
    before, none = events(before, moment(stopping, later(10)))
    assert none == ()
    gone = seen(FLEET, running(WEB, 0, "h2"))
    ended = replace(gone, outcomes=(outcome(verb="stop", cause=cause),))
    after, found = events(before, moment(ended, later(12)))
    assert told(found) == [
        "stop Service shop/web Stopped: ",
        "overlap Service shop/web Overlapped: two instances ran for 12 s that are known of",
    ]
    assert {one.cause_kind for one in found} == {"duplicate"}
    assert after.together == {}


def test_the_overlap_began_when_the_later_of_both_was_made() -> None:
    """Nobody saw the one on the host that was lost meanwhile."""
    cause = "duplicate of web.0 on h2"
    began = int(moment().now.wall.timestamp()) - 120
    ones = [running(WEB, 0, "h1", created=began - 1000), running(WEB, 0, "h2", created=began)]
    change = Change(kind=ChangeKind.STOP, workload=WEB.id, slot=0, cause=cause, source="h1", wait=SOAKS)
    before, _ = events(Remembered(), moment(seen(FLEET, *ones), changes=(change,)))
    ended = replace(seen(FLEET, ones[1]), outcomes=(outcome(verb="stop", cause=cause),))
    _, found = events(before, moment(ended, later(12)))
    assert "two instances ran for 132 s" in told(found)[-1]


def test_trouble_with_the_repository_is_told_once_and_when_it_ends() -> None:
    def of(source: SourceStatus) -> Moment:
        return replace(moment(), status=status(source))

    down = of(SourceStatus(reason="GitUnreachable", message="no answer"))
    assert between(of(SourceStatus()), down) == ["revision Fleet GitUnreachable: no answer"]
    assert between(down, down) == []
    assert between(down, of(SourceStatus())) == ["revision Fleet RepositoryReadable: GitUnreachable is over"]
    nothing = Moment(status=status(SourceStatus(reason="InvalidCommit", message="2 problems")), now=NOW)
    assert told(events(Remembered(), nothing)[1]) == ["revision Fleet InvalidCommit: 2 problems"]


def test_a_history_that_was_rewritten_is_told_with_its_revision() -> None:
    before = Remembered(revision="2" * 40)
    assert told(events(before, replace(moment(), rewritten=True))[1]) == [
        "history Fleet HistoryRewritten: history was rewritten; now at 111111111111",
        "revision Fleet RevisionAdopted: now at 111111111111, before 222222222222",
    ]


def test_a_storm_is_told_by_workload() -> None:
    many = tuple(outcome(slot, host=f"h{slot % 7}") for slot in range(5000))
    (one,) = events(Remembered(revision="1" * 40), moment(replace(seen(FLEET), outcomes=many)))[1]
    assert (one.count, one.slot, one.host, one.reason) == (5000, None, "", "Started")


def test_a_storm_of_what_differs_is_cut_and_says_so() -> None:
    many = tuple(outcome(slot, message=f"{slot}") for slot in range(5000))
    found = events(Remembered(revision="1" * 40), moment(replace(seen(FLEET), outcomes=many)))[1]
    assert len(found) == MOST_A_PASS
    assert found[-1].message == f"{5000 - MOST_A_PASS + 1} more events of this pass are not told one by one"


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        ("", ""),
        ("commit 1111111", "commit"),
        ("the working tree", "commit"),
        ("commit 1111111 does not have shop/web", "commit"),
        ("window day-night/day", "edge"),
        ("ahead of window day-night/day", "edge"),
        ("window day-night/base: fills what is left over", "edge"),
        ("override black-friday", "override"),
        ("an instance is missing", "drift"),
        ("more run than are wanted", "drift"),
        ("unhealthy", "health"),
        ("could not be started: port is taken", "health"),
        ("paused by hand", "drift"),
        ("h1 is drained by override maintenance", "drain"),
        ("h1 is lost", "host-lost"),
        ("h1 is being drained", "drain"),
        ("its host left the fleet", "drain"),
        ("makes room for shop/web, which has a higher priority than 50", "room"),
        ("duplicate of shop.web.0.abc on h2", "duplicate"),
        ("replaced by shop.web.0.abc", "rollout"),
        ("taint gpu (NoExecute) is not tolerated", "placement"),
        ("something new", "other"),
    ],
)
def test_the_kind_of_a_cause(cause: str, kind: str) -> None:
    assert cause_kind(cause) == kind
