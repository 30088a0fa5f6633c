"""The status branch read back: what an offline plan, and a daemon that starts anew, stand on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rota.core.decide import decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Applied, HostRecord, Ledger, Move, Reservation
from rota.core.model import Fleet
from rota.core.observed import Now
from rota.core.resources import Resources
from rota.errors import Stalled
from rota.report.documents import LEDGER_PATH, documents, encode
from rota.report.restore import restore
from rota.report.state import ledger_document, read_ledger
from tests.report.fleets import fleets, running, status_of, varied


@given(fleets())
@settings(max_examples=25, deadline=None)
def test_nothing_is_to_be_changed_by_what_was_written(fleet: Fleet) -> None:
    """What stands on the branch and what was seen lead to the same decision: here, to leave all as it is."""
    world = running(fleet)
    assert world.decision is not None
    assert not world.decision.actions
    observed, ledger = restore(documents(status_of(world), ()))
    again = decide(fleet, observed, ledger, Now(wall=world.clock.wall, mono=0.0))
    assert [replace(one, cause="") for one in again.changes] == [
        replace(one, cause="") for one in world.decision.changes
    ]
    assert again.unplaced == world.decision.unplaced
    assert not again.actions
    assert again.held is None


def test_a_plan_in_the_middle_of_things_names_the_same_slots() -> None:
    world = varied()
    assert world.decision is not None
    observed, ledger = restore(documents(status_of(world), ()))
    again = decide(world.fleet, observed, ledger, Now(wall=world.clock.wall, mono=0.0))
    assert {(one.workload, one.slot) for one in again.changes} >= {
        (one.workload, one.slot) for one in world.decision.changes if one.host is None
    }
    assert {one.workload for one in again.unplaced} == {one.workload for one in world.decision.unplaced}


def test_documents_of_what_was_restored_say_the_same() -> None:
    """The row of a host survives: a daemon that starts tells it on until it has looked itself."""
    status = status_of(varied())
    observed, _ = restore(documents(status, ()))
    for host in status.hosts:
        view = observed.hosts[host.view.name]
        assert (view.state, view.detail, view.engine) == (host.view.state, host.view.detail, host.view.engine)
        assert view.stopping == host.view.stopping
        assert {one.id for one in view.containers} == {one.id for one in host.view.all_containers}


names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
workloads = st.builds(WorkloadId, names, names)
slots = st.tuples(workloads, st.integers(0, 99))
ledgers = st.builds(
    Ledger,
    hosts=st.dictionaries(
        names,
        st.builds(
            HostRecord, endpoint=st.text(), address=st.text(), tls=st.none() | names, engine_id=st.text()
        ),
    ),
    pins=st.dictionaries(slots, names),
    reservations=st.dictionaries(slots, st.builds(Reservation, host=names, until=st.just(math.inf))),
    moves=st.dictionaries(slots, st.builds(Move, source=names, target=names, cause=st.text())),
    displaced=st.frozensets(slots),
    applied=st.none()
    | st.builds(
        Applied,
        revision=st.text("0123456789abcdef", min_size=40, max_size=40),
        at=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
            lambda at: at.replace(microsecond=0)
        ),
        counts=st.dictionaries(workloads, st.integers(0, 1000)),
    ),
)


@given(ledgers)
def test_a_ledger_survives_the_branch(ledger: Ledger) -> None:
    content = encode(ledger_document(ledger))
    assert read_ledger(content) == ledger
    assert encode(ledger_document(read_ledger(content))) == content


def test_instants_of_a_daemons_own_clock_are_not_kept() -> None:
    key = (WorkloadId("a", "b"), 0)
    of = Ledger(reservations={key: Reservation(host="h1", until=1234.0)}, moves_begun=(1.0, 2.0))
    again = Ledger(reservations={key: Reservation(host="h1", until=5678.0)}, moves_begun=(3.0,))
    assert encode(ledger_document(of)) == encode(ledger_document(again))


def test_a_ledger_of_an_older_rota_has_neither_reservations_nor_moves() -> None:
    document = full()
    for key in ("reservations", "moves", "displaced"):
        del document[key]
    ledger = read_ledger(encode(document))
    assert ledger.pins
    assert (ledger.reservations, ledger.moves, ledger.displaced) == ({}, {}, frozenset())


def test_a_newer_ledger_is_left_alone() -> None:
    document = {**ledger_document(Ledger()), "version": 2, "invented": True}
    with pytest.raises(Stalled, match="upgrade this one") as caught:
        read_ledger(encode(document))
    assert caught.value.reason == "NewerState"


def full() -> dict[str, Any]:
    applied = Applied(
        revision="1" * 40, at=datetime(2026, 6, 1, tzinfo=UTC), counts={WorkloadId("a", "b"): 1}
    )
    record = HostRecord(endpoint="tcp://h1:2375", address="h1")
    pins = {(WorkloadId("a", "b"), 0): "h1"}
    return ledger_document(Ledger(hosts={"h1": record}, pins=pins, applied=applied))


DAMAGES: tuple[Callable[[dict[str, Any]], object], ...] = (
    lambda one: one.pop("version"),
    lambda one: one.update(version="1"),
    lambda one: one.update(hosts=[]),
    lambda one: one.update(hosts={"h1": {}}),
    lambda one: one.update(pins={}) or one.update(pins=["x"]),
    lambda one: one.update(pins=[{"workload": 1, "slot": 0, "host": "h1"}]),
    lambda one: one.update(reservations=[{"workload": "a/b", "slot": "0", "host": "h1"}]),
    lambda one: one.update(reservations=[{"workload": "a/b", "slot": 0}]),
    lambda one: one.update(moves=[{"workload": "a/b", "slot": 0, "from": "h1"}]),
    lambda one: one.update(displaced=[{"workload": "a/b"}]),
    lambda one: one.update(applied="1"),
    lambda one: one["applied"].update(at="yesterday"),
    lambda one: one["applied"].update(at="2026-06-01T00:00:00"),
    lambda one: one["applied"].update(counts={"a/b": None}),
)


@pytest.mark.parametrize("number", range(len(DAMAGES)))
def test_a_damaged_ledger_is_said_to_be(number: int) -> None:
    document = full()
    DAMAGES[number](document)
    with pytest.raises(Stalled, match=r"state/ledger\.json on the status branch cannot be read") as caught:
        read_ledger(encode(document))
    assert caught.value.reason == "DamagedState"
    assert "Restore the file" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[", b"null", b"\xff", b"[" * 100_000])
def test_a_ledger_that_is_no_document(content: bytes) -> None:
    with pytest.raises(Stalled) as caught:
        read_ledger(content)
    assert caught.value.reason == "DamagedState"


@given(choice=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_host_is_said_to_be(choice: st.DataObject) -> None:
    """Whatever is lost or replaced anywhere in a document: it is read, or one sentence names the file."""
    files = dict(_FILES)
    document = json.loads(files["hosts/h1.json"])
    place: Any = document
    while True:
        key = choice.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or choice.draw(st.booleans()):
            break
        place = inner
    place[key] = choice.draw(st.sampled_from([None, 7, "word", [], {}, [[]], True]))
    files["hosts/h1.json"] = json.dumps(document).encode()
    try:
        restore(files)
    except Stalled as error:
        assert error.reason == "DamagedStatus"
        assert "hosts/h1.json on the status branch cannot be read: " in str(error)


_FILES = documents(status_of(varied()), ())


def test_a_branch_without_a_ledger_has_an_empty_one() -> None:
    observed, ledger = restore({path: content for path, content in _FILES.items() if path != LEDGER_PATH})
    assert ledger == Ledger()
    assert set(observed.hosts) == {"h1", "h2", "h3", "h4"}


def test_the_documents_are_where_the_contract_says() -> None:
    assert set(map(str, map(Path, _FILES))) == {
        "README.md",
        "status.json",
        "events.jsonl",
        "state/ledger.json",
        *(f"hosts/h{number}.json" for number in range(1, 5)),
        *(f"workloads/shop/{name}.json" for name in ("web", "db", "huge")),
    }


def test_extended_resources_survive_and_an_older_branch_has_none() -> None:
    document = json.loads(_FILES["hosts/h1.json"])
    assert document["instances"][0]["requests"].keys() == {"cpu", "memory"}
    document["instances"][0]["requests"] = {"cpu": 100, "memory": 1 << 20, "gpu": 2, "fpga": 1}
    observed, _ = restore({**_FILES, "hosts/h1.json": encode(document)})
    extended = (("fpga", 1), ("gpu", 2))
    assert observed.hosts["h1"].containers[0].requests == Resources(
        cpu=100, memory=1 << 20, extended=extended
    )
