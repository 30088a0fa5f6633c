"""The status branch as files: as the schemas say, the same for the same status, and without any secret."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger, Reservation
from rota.core.model import Fleet
from rota.core.observed import Now, ObservedState
from rota.core.planning.waits import WaitReason
from rota.core.resources import Resources
from rota.core.status import Condition, Finding, FleetStatus, SourceStatus, summarise
from rota.core.survival import Survival
from rota.core.workload_status import HealthWord
from rota.gitrepo.worker import GitView, Publication, Urgency
from rota.publish import Publisher
from rota.report.documents import documents
from rota.report.journal import Journal
from tests.report.fleets import SECRET, fleets, running, status_of, varied

NOON = datetime(2026, 6, 1, 10, tzinfo=UTC)
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


@cache
def schema(kind: str) -> Draft202012Validator:
    return Draft202012Validator(json.loads((SCHEMAS / f"{kind.lower()}.json").read_text()))


def judge(files: dict[str, bytes]) -> list[str]:
    """Validate every document by the schema of its place; the schemas that were used."""
    schemas = {"status.json": "FleetStatus", "hosts": "HostStatus", "workloads": "WorkloadStatus"}
    used = [(schemas[path.partition("/")[0]], path) for path in files if path.partition("/")[0] in schemas]
    for name, path in used:
        schema(name).validate(json.loads(files[path]))
    return [name for name, _ in used]


@pytest.fixture(scope="module")
def status() -> FleetStatus:
    return status_of(varied())


def test_a_varied_status_is_as_its_schemas_say(status: FleetStatus) -> None:
    source = replace(
        status.source, attempted="3" * 40, reason="InvalidCommit", problems=(Finding("a.yaml", 1, 2, "no"),)
    )
    kinds = judge(documents(replace(status, source=source), ()))
    assert kinds.count("HostStatus") == 4
    assert kinds.count("WorkloadStatus") == 3
    assert kinds.count("FleetStatus") == 1


@pytest.mark.parametrize("kind", ["Plan", "WorkloadStatus"])
def test_every_reason_to_wait_stands_in_the_schemas(kind: str) -> None:
    found: list[object] = []

    def look(at: object) -> None:
        if isinstance(at, dict):
            found.extend(at.get("waitReason", {}).get("enum", ()) if "waitReason" in at else ())
            for one in at.values():
                look(one)

    look(schema(kind).schema)
    assert found == ["", *WaitReason]


def test_whether_a_loss_is_survived_stands_in_the_status_and_in_the_readme(status: FleetStatus) -> None:
    def files(survival: Survival | None) -> dict[str, bytes]:
        made = documents(replace(status, survival=survival), ())
        judge(made)
        return made

    nobody_asks, yes = files(None), files(Survival(loss="hosts", shortfalls=()))
    no = files(Survival(loss="zones", shortfalls=("without zone a, 1 of x", "without zone b, 2 of x")))
    assert json.loads(nobody_asks["status.json"])["survives"] is None
    assert b"Survives" not in nobody_asks["README.md"]
    assert json.loads(yes["status.json"])["survives"] == {"loss": "hosts", "shortfalls": []}
    assert b"\n\nSurvives the loss of any one host: yes\n\n" in yes["README.md"]
    assert len(json.loads(no["status.json"])["survives"]["shortfalls"]) == 2
    verdict = (
        b"\n\nSurvives the loss of any one zone: no\n- without zone a, 1 of x\n- without zone b, 2 of x\n"
    )
    assert verdict in no["README.md"]


def test_the_varied_status_has_what_the_schemas_are_to_be_tried_on(status: FleetStatus) -> None:
    document: dict[str, Any] = json.loads(documents(status, ())["status.json"])
    assert {one["type"] for one in document["conditions"]} == {"Ready", "Reconciling", "Degraded"}
    assert {one["state"] for one in document["hosts"]} == {"reachable", "suspect"}
    assert document["unplaced"][0]["reasons"]
    assert len({one["health"] for one in document["workloads"]}) > 1


def test_without_a_fleet_there_is_a_status_too() -> None:
    source = SourceStatus(
        attempted="1" * 40, reason="InvalidCommit", message="no", problems=(Finding("a", 1, 1, "b"),)
    )
    assert judge(documents(summarise(None, ObservedState(), None, source, Ledger()), ())) == ["FleetStatus"]


@given(fleets())
@settings(max_examples=15, deadline=None)
def test_the_same_status_is_the_same_bytes(fleet: Fleet) -> None:
    """Two runs of one fleet, one of them a while longer: no clock and no duration stands in any document."""
    first, second = running(fleet, 30), running(fleet, 45)
    files = documents(status_of(first), ("{}",))
    assert judge(files)
    assert files == documents(status_of(first), ("{}",))
    assert files == documents(status_of(second), ("{}",))
    assert list(json.loads(files["status.json"])) == sorted(json.loads(files["status.json"]))
    for path, content in files.items():
        assert SECRET.encode() not in content, path
        assert content.endswith(b"\n") or not content, path


TIME = re.compile(rb"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def test_no_instant_but_edges_and_what_was_applied(status: FleetStatus) -> None:
    found = {path: content for path, content in documents(status, ()).items() if TIME.search(content)}
    assert set(found) == {"README.md", "status.json", "state/ledger.json"}
    assert len(TIME.findall(found["status.json"])) == len(status.windows) == 1
    assert len(TIME.findall(found["README.md"])) == 1
    assert len(TIME.findall(found["state/ledger.json"])) == 1


def test_extended_resources_are_as_the_schemas_say(status: FleetStatus) -> None:
    gpus = Resources(cpu=100, memory=1 << 20, extended=(("gpu", 2),))
    host = next(one for one in status.hosts if one.view.containers)
    container = replace(host.view.containers[0], requests=gpus)
    changed = replace(host, view=replace(host.view, containers=(container,)), requested=gpus, capacity=gpus)
    files = documents(replace(status, hosts=(changed,)), ())
    judge(files)
    document = json.loads(files[f"hosts/{host.view.name}.json"])
    assert document["requested"]["gpu"] == "2"
    assert document["instances"][0]["requests"]["gpu"] == 2


def publication(status: FleetStatus) -> Publication:
    ledger = status.ledger
    made = Publisher().publication(status, Journal(), GitView(), frozenset(ledger.pins), Now(NOON, 1.0))
    assert made is not None
    return made


def test_a_commit_says_in_its_subject_who_is_not_well(status: FleetStatus) -> None:
    assert publication(status).subject == "not Ready (Unknown: shop/web): 9/11 instances, day"
    all_so = replace(
        status, workloads=tuple(replace(one, health=HealthWord.UNKNOWN) for one in status.workloads)
    )
    assert publication(all_so).subject.startswith("not Ready (Unknown: shop/db and 2 more): ")
    conditions = [Condition(type="Ready", status="True", reason="x", message="")]
    assert publication(replace(status, conditions=tuple(conditions))).subject.startswith("Ready: 9/11")
    conditions.append(Condition(type="Degraded", status="True", reason="PruneBlocked", message=""))
    withheld = publication(replace(status, conditions=tuple(conditions)))
    assert withheld.subject.startswith("Ready, but Degraded (PruneBlocked): 9/11")


def test_what_only_the_ledger_knows_is_not_urgent(status: FleetStatus) -> None:
    """Room that is reserved is told with the rest, and does not hurry a push by itself."""
    key = (WorkloadId("shop", "web"), 0)
    before = publication(status)
    reserved = Reservation(host="h1", until=9.0)
    ledger = replace(status.ledger, reservations={key: reserved}, displaced=frozenset({key}))
    after = publication(replace(status, ledger=ledger))
    assert after.files != before.files
    assert after.urgency(before.files) is Urgency.STATE
    prolonged = publication(replace(status, ledger=replace(status.ledger, moves_begun=(5.0,))))
    assert prolonged.files == before.files
