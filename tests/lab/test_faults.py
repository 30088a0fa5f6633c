"""Hosts that fail, and what becomes of their work: one operator, real faults, and the Engines' own word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from tests.lab.hosts import Lab
from tests.lab.operator import (
    Repository,
    Sampler,
    fleet_manifests,
    healthy,
    ids,
    instances,
    operating,
    slots,
    web_manifest,
)
from tests.lab.waiting import wait_for

pytestmark = pytest.mark.lab
WEB = "shop/web"
COUNT = 6
SOON = 40.0
QUICK = "{heartbeat: 500ms, suspectAfter: 1500ms, lostAfter: 3s, engineDownAfter: 15s}"


@dataclass(frozen=True)
class Shop:
    """Six web servers on three hosts, kept by an operator that gives a host up after three seconds."""

    lab: Lab
    repository: Repository
    commit: str

    def ids(self, *on: str) -> set[str]:
        return ids(self.lab, WEB, *on)

    def ports(self) -> dict[str, int]:
        """The published port of every instance."""
        return {row["Id"]: row["Ports"][0]["PublicPort"] for _, row in instances(self.lab, WEB)}

    def is_whole(self) -> bool:
        """Whether every slot runs once and the status branch says Ready."""
        return slots(self.lab, WEB) == list(range(COUNT)) and self.repository.ready(self.commit)

    def settled(self, what: str) -> None:
        wait_for(self.is_whole, SOON, what)


@pytest.fixture(scope="module")
def running(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("faults")
    lab.mend_all()
    lab.clear_all()
    repository = Repository(folder, lab.hosts)
    repository.write(**fleet_manifests(lab.hosts, QUICK), web=web_manifest(COUNT))
    with operating(repository, folder):
        yield Shop(lab, repository, repository.push("six"))


@pytest.fixture
def shop(running: Shop) -> Shop:
    """The shop with every fault undone, whole."""
    running.lab.mend_all()
    running.settled("six web servers")
    return running


def test_what_a_host_ran_that_is_cut_off_runs_elsewhere_and_is_settled_when_it_is_back(shop: Shop) -> None:
    lab, there = shop.lab, shop.ids("h1")
    with (
        Sampler(lambda: healthy(lab, WEB)) as everywhere,
        Sampler(lambda: healthy(lab, WEB, "h2", "h3")) as elsewhere,
    ):
        lab.cut("h1")
        wait_for(lambda: healthy(lab, WEB, "h2", "h3") == COUNT, SOON, "all six on the other two")
        wait_for(partial(shop.repository.told, "HostLost"), SOON, "the loss to be told")
        assert shop.ids("h1") == there, "what cannot be reached goes on"
        lab.heal("h1")
        shop.settled("duplicates to be settled")
    assert min(everywhere.seen) == COUNT, "no slot was ever without an instance"
    assert min(elsewhere.seen) == COUNT - len(there)
    wait_for(lambda: _count(shop.repository, "overlap") >= len(there), SOON, "the overlaps to be told")


def _count(repository: Repository, *kinds: str) -> int:
    """How many events of these kinds the status branch tells."""
    return sum(one.get("count", 1) for one in repository.events() if one["event"] in kinds)


def test_all_hosts_cut_off_at_once_are_not_believed_to_be_lost(shop: Shop) -> None:
    lab, before = shop.lab, shop.ids()
    with Sampler(lambda: len(shop.ids() ^ before)) as changed:
        for host in lab.hosts:
            lab.cut(host)
        wait_for(partial(shop.repository.told, "Brake"), SOON, "the brake")
    assert set(changed.seen) == {0}, "nothing was started, nothing stopped"
    for host in lab.hosts:
        lab.heal(host)
    shop.settled("all back")
    assert shop.ids() == before, "every instance is the one that was there"
    assert not shop.repository.told("Brake")


def test_an_engine_killed_and_started_and_one_that_hangs_for_a_while_lose_nothing(shop: Shop) -> None:
    lab, before = shop.lab, shop.ports()
    with Sampler(lambda: len(lab.containers("h1"))) as elsewhere:
        lab.kill("h2")
        lab.start("h2")
        lab.pause("h3")
        wait_for(lambda: shop.repository.host_state("h3") == "suspect", SOON, "it to be suspect")
        lab.unpause("h3")
        wait_for(lambda: healthy(lab, WEB) == COUNT, SOON, "the containers of h2 to be back")
        shop.settled("the operator to see it")
    assert shop.ports() == before, "the same containers on the same ports"
    assert set(elsewhere.seen) == {len(shop.ids("h1"))}, "nothing was started elsewhere"


def test_an_engine_that_hangs_for_too_long_is_replaced_and_settled_when_it_wakes(shop: Shop) -> None:
    lab, there = shop.lab, shop.ids("h3")
    with Sampler(lambda: healthy(lab, WEB, "h1", "h2")) as elsewhere:
        lab.pause("h3")
        wait_for(lambda: healthy(lab, WEB, "h1", "h2") == COUNT, SOON, "all six on the other two")
        lab.unpause("h3")
        shop.settled("duplicates to be settled")
    assert min(elsewhere.seen) == COUNT - len(there)
