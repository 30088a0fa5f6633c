"""Desired against observed: what differs in a spec field by field, and what is wrong with instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rota.core.decide import decide
from rota.core.ledger import FailedSpec, GoodSpec, Ledger
from rota.core.observed import ContainerState, Health, HostState
from rota.report.difference import difference_document, difference_text
from tests.builders import fleet, host, service
from tests.core.scenes import NOW, change_view, running, seen

OLD = service("web", 1)
GOOD = GoodSpec(spec=OLD.spec_hash, revision="0" * 40, container=OLD.container, requests=OLD.requests)
SECRET = "pa55word"


def test_fields_are_told_where_the_old_spec_is_known_and_secrets_never() -> None:
    container = replace(
        OLD.container, image="web:2", environment={"TOKEN": SECRET, "NEW": SECRET}, command=("serve",)
    )
    before = replace(OLD.container, environment={"TOKEN": "another", "GONE": SECRET}, user="root")
    new = replace(OLD, container=container, spec_hash="v1:web:2")
    of = fleet([host("h1")], [new])
    observed = seen(of, running(OLD, 0, "h1"))
    images = {(OLD.id, OLD.spec_hash): "web@sha256:1", (OLD.id, "v1:web:2"): "web@sha256:2"}
    ledger = Ledger(good={OLD.id: replace(GOOD, container=before)}, images=images)
    document = difference_document(of, observed, ledger, decide(of, observed, Ledger(), NOW))
    text = difference_text(document)
    assert document["workloads"][0]["spec"] == [
        "1 instance with spec 1 of commit 1111111",
        '+ command: ["serve"]',
        "- environment.GONE: (set)",
        "+ environment.NEW: (set)",
        "~ environment.TOKEN: (changed)",
        '~ image: "web:1" -> "web:2"',
        '- user: "root"',
        "~ image digest: web@sha256:1 -> web@sha256:2",
    ]
    assert SECRET not in text
    assert "another" not in text


def test_a_spec_that_failed_before_is_said_to_have() -> None:
    of = fleet([host("h1")], [OLD])
    observed = seen(of, running(OLD, 0, "h1"))
    failed = FailedSpec(
        spec=OLD.spec_hash, document="d", revision="1" * 40, reason="no progress", reverts=False
    )
    document = difference_document(
        of, observed, Ledger(failed={OLD.id: failed}), decide(of, observed, Ledger(), NOW)
    )
    assert document["workloads"][0]["spec"] == ["! spec 1 failed before: no progress"]


@pytest.mark.parametrize(
    ("fields", "state", "said"),
    [
        ({}, "reachable", []),
        ({"state": ContainerState.EXITED, "ready_since": None}, "reachable", ["web/0 on h1: is exited"]),
        ({"health": Health.UNHEALTHY, "ready_since": None}, "reachable", ["web/0 on h1: is unhealthy"]),
        ({}, "lost", ["web/0 on h1: not known, its host is lost"]),
    ],
)
def test_what_is_wrong_with_an_instance(fields: dict[str, Any], state: str, said: list[str]) -> None:
    of = fleet([host("h1")], [OLD])
    observed = change_view(seen(of, running(OLD, 0, "h1", **fields)), "h1", state=HostState(state))
    document = difference_document(of, observed, Ledger(), decide(of, observed, Ledger(), NOW))
    assert [text for row in document["workloads"] for text in row["drift"]] == said


def test_what_is_being_stopped() -> None:
    of = fleet([host("h1")], [OLD])
    one = running(OLD, 0, "h1")
    observed = change_view(seen(of, one), "h1", stopping=frozenset({one.id}))
    document = difference_document(of, observed, Ledger(), decide(of, observed, Ledger(), NOW))
    assert document["workloads"][0]["drift"] == ["web/0 on h1: is being stopped"]
