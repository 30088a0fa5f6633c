"""From views to one snapshot: whose Engine it is, hosts that were renamed, what is presumed."""

from __future__ import annotations

from dataclasses import replace

from rota.core.ids import WorkloadId
from rota.core.ledger import HostRecord, Ledger
from rota.core.observed import ContainerState, EngineFacts, HostState, HostView
from rota.core.planning.actions import container_of
from rota.engine.observe import follow_renames, presume, settle_identities, strangers
from tests.engine.desk import start

DB = (WorkloadId("shop", "db"), 0)
CONTAINER = container_of(start(host="a"), "id-1", ContainerState.RUNNING)


def view(name: str, engine: str, state: HostState = HostState.REACHABLE) -> HostView:
    return HostView(
        name=name, state=state, listed=True, engine=EngineFacts(engine, "1.41", "1", 1000, 1 << 30)
    )


def record(engine: str) -> HostRecord:
    return HostRecord(endpoint="tcp://x:2375", address="x", engine_id=engine)


def test_the_name_that_is_known_keeps_the_engine() -> None:
    views = {"a": view("a", "e1"), "b": view("b", "e1")}
    known = settle_identities(views, Ledger(hosts={"b": record("e1")}))
    assert [known[name].state for name in "ab"] == [HostState.REFUSED, HostState.REACHABLE]
    new = settle_identities(views, Ledger())
    assert [new[name].state for name in "ab"] == [HostState.REACHABLE, HostState.REFUSED]


def test_another_engine_than_before_is_refused_whatever_it_holds() -> None:
    views = {"a": view("a", "e2")}
    for pins in ({}, {DB: "a"}):
        settled = settle_identities(views, Ledger(hosts={"a": record("e1")}, pins=pins))
        assert settled["a"].state is HostState.REFUSED
        assert settled["a"].detail == (
            "is another Engine than before. If the old machine is gone for good, commit an Override with "
            "`lost: true` on this Host; else bring the old one back, or give this one a name of its own"
        )


def test_another_engine_is_taken_with_consent_or_where_none_was_known() -> None:
    views = {"a": view("a", "e2")}
    consented = settle_identities(views, Ledger(hosts={"a": record("e1")}), confirmed=frozenset({"a"}))
    assert consented["a"] == views["a"]
    for ledger in (Ledger(), Ledger(hosts={"a": record("")}), Ledger(hosts={"a": record("e2")})):
        assert settle_identities(views, ledger)["a"].state is HostState.REACHABLE


def test_what_the_old_machine_ran_is_not_gone_because_another_answers_in_its_place() -> None:
    ledger = Ledger(hosts={"a": record("e1")})
    known = {"a": replace(view("a", "e1"), containers=(CONTAINER,))}
    for _ in range(2):
        new = {"a": view("a", "e2")}
        known = presume(new, known, strangers(new, ledger))
        settled = settle_identities(known, ledger)
        assert settled["a"].state is HostState.REFUSED
        assert settled["a"].containers == (CONTAINER,)
    new = {"a": view("a", "e2")}
    known = presume(new, known, strangers(new, ledger, confirmed={"a"}))
    assert settle_identities(known, ledger, confirmed={"a"})["a"].containers == ()


def test_two_hosts_that_changed_places_are_both_refused() -> None:
    views = {"a": view("a", "e2"), "b": view("b", "e1")}
    ledger = Ledger(hosts={"a": record("e1"), "b": record("e2")})
    settled = settle_identities(views, ledger)
    assert {one.state for one in settled.values()} == {HostState.REFUSED}


def test_a_renamed_host_takes_its_record_and_its_volumes_along() -> None:
    ledger = Ledger(hosts={"old": record("e1"), "b": record("e2")}, pins={DB: "old"})
    views = {"new": view("new", "e1"), "old": view("old", "e1"), "b": view("b", "e2")}
    after = follow_renames(views, {"new", "b"}, ledger)
    assert (set(after.hosts), after.pins) == ({"b"}, {DB: "new"})
    assert follow_renames(views, {"new", "old", "b"}, ledger) is ledger, "both names stand in Git"


def test_a_host_that_could_not_be_listed_has_what_was_known_last() -> None:
    before = {"a": view("a", "e1")}
    silent = {"a": HostView(name="a", state=HostState.LOST)}
    assert presume(silent, before)["a"].engine == before["a"].engine
