"""From views to one snapshot: whose Engine it is, hosts that were renamed, what is presumed."""

from __future__ import annotations

from rota.core.ids import WorkloadId
from rota.core.ledger import HostRecord, Ledger
from rota.core.observed import EngineFacts, HostState, HostView
from rota.engine.observe import follow_renames, presume, settle_identities

DB = (WorkloadId("shop", "db"), 0)


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


def test_another_engine_under_a_name_that_holds_volumes_is_refused() -> None:
    ledger = Ledger(hosts={"a": record("e1")}, pins={DB: "a"})
    settled = settle_identities({"a": view("a", "e2")}, ledger)
    assert settled["a"].state is HostState.REFUSED
    assert "another Engine" in settled["a"].detail
    without = settle_identities({"a": view("a", "e2")}, Ledger(hosts={"a": record("e1")}))
    assert without["a"].state is HostState.REACHABLE


def test_a_renamed_host_takes_its_record_and_its_volumes_along() -> None:
    ledger = Ledger(hosts={"old": record("e1"), "b": record("e2")}, pins={DB: "old"})
    views = {"new": view("new", "e1"), "old": view("old", "e1"), "b": view("b", "e2")}
    after = follow_renames(views, {"new", "b"}, ledger)
    assert (set(after.hosts), after.pins) == ({"b"}, {DB: "new"})
    assert follow_renames(views, {"new", "old", "b"}, ledger) is ledger, "both names stand in Git"


def test_a_host_that_could_not_be_listed_has_what_was_known_last() -> None:
    before = {"a": view("a", "e1")}
    silent = {"a": HostView(name="a", state=HostState.UNREACHABLE)}
    assert presume(silent, before)["a"].engine == before["a"].engine
