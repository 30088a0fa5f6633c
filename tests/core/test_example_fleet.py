"""The example repository's own fleet: a host is lost, and one pass has a place for everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rota.core.decide import decide
from rota.core.model import Fleet
from rota.core.observed import Now
from rota.core.planning.actions import ChangeKind
from rota.manifest.load import Loader
from tests.core.scenes import changes, later, seen, settle
from tests.manifest.trees import EXAMPLE, folder

NIGHT = Now(wall=datetime(2026, 6, 1, 20, 0, tzinfo=UTC), mono=1000.0)
"""22:00 in Berlin: few web servers, and workers wherever there is room."""


def example() -> Fleet:
    fleet = Loader().load(folder(EXAMPLE)).fleet
    assert fleet is not None
    return replace(fleet, revision="1" * 40)


@pytest.mark.parametrize("lost", ["h1", "h2", "h3"])
def test_after_a_lost_host_everything_has_a_place_within_a_pass(lost: str) -> None:
    """Its Host is removed from the repository, which is a person's word that it is gone."""
    fleet = example()
    observed, ledger, now = settle(fleet, seen(fleet), now=NIGHT)
    there = [one for one in observed.containers() if one.host == lost]
    movable = {(one.workload, one.slot) for one in there if not fleet.services[one.workload].container.pinned}
    assert movable
    hosts = {name: host for name, host in fleet.hosts.items() if name != lost}
    smaller = replace(fleet, hosts=hosts, revision="2" * 40)
    silent = seen(fleet, *observed.containers(), silent=lost)
    decision = decide(smaller, silent, ledger, later(5, now))
    homeless = [one for one in decision.changes if one.kind is not ChangeKind.STOP and one.host is None]
    assert homeless == [], "\n".join(changes(decision))
    assert decision.unplaced == ()
    placed = {(one.workload, one.slot) for one in decision.changes if one.host in hosts}
    released = {(one.workload, one.slot) for one in decision.changes if one.kind is ChangeKind.STOP}
    assert movable <= placed | released, "\n".join(changes(decision))
