"""A Host that leaves Git while it does not answer: what it ran is replaced once, and no more."""

from __future__ import annotations

from dataclasses import replace

from rota.core.decide import decide
from rota.core.ledger import HostRecord, Ledger, Move
from rota.core.model import Drain
from rota.core.planning.actions import StartInstance
from tests import builders
from tests.core.scenes import NOW, doubt, running, seen

WEB = builders.service("web", 2)
HOSTS = [builders.host(name) for name in "abc"]
GONE = Ledger(hosts={"gone": HostRecord(endpoint="tcp://gone:2375", address="gone")})


def test_a_successor_that_has_to_move_itself_moves_within_the_surge() -> None:
    """Slot 1 was on a host that left; its successor is on one that is drained since, and slot 0 moves."""
    drained = replace(HOSTS[0], drain=Drain())
    fleet = builders.fleet([drained, *HOSTS[1:]], [WEB])
    observed = seen(
        fleet,
        running(WEB, 0, "a", id="leaves", created=5),
        running(WEB, 0, "b", id="comes", created=9, ready_for=0.5),
        running(WEB, 1, "gone", created=1),
        running(WEB, 1, "a", id="second", created=5),
    )
    decision = decide(fleet, doubt(observed, "gone"), GONE, NOW)
    assert not [one for one in decision.actions if isinstance(one, StartInstance)]


def test_a_successor_that_is_asked_to_move_by_choice_is_not_started_again_and_again() -> None:
    fleet = builders.fleet(HOSTS, [WEB])
    observed = seen(
        fleet,
        running(WEB, 0, "b"),
        running(WEB, 1, "gone", created=1),
        running(WEB, 1, "a", id="second", created=5),
        running(WEB, 1, "a", id="third", created=9, ready_for=None),
    )
    asked = {(WEB.id, 1): Move(source="a", target="c", cause="spread: a has 2, c has 0")}
    decision = decide(fleet, doubt(observed, "gone"), replace(GONE, moves=asked), NOW)
    starts = [one for one in decision.actions if isinstance(one, StartInstance)]
    assert len(starts) <= 1
    assert all(one.host != "a" for one in starts)
