"""Days of random fleets, on the simulator that `rota simulate` is: every invariant after every pass.

`ROTA_SEEDS=7,8` runs those seeds instead of the usual ones; `make soak` runs thousands.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from rota.core.decide import Decision, decide
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger, Move
from rota.core.model import Fleet
from rota.core.observed import HostState, Now, ObservedState
from rota.core.placement.puzzle import Solver
from rota.core.planning.actions import stop_of
from tests import builders
from tests.simulation.days import HOUR, Days, DaysLife
from tests.simulation.invariants import VolumesStay, only_what_is_seen_is_stopped, unknown_loses_nothing
from tests.simulation.soak import CapacityAlways, DaysRun, MovesAnHour, one_rule_applies, replay
from tests.simulation.test_crowds import all_on
from tests.simulation.world import Tally

SEEDS = [int(text) for text in os.environ.get("ROTA_SEEDS", "").split(",") if text] or list(range(6))


@pytest.fixture(scope="module")
def total() -> Iterator[Tally]:
    tally = Tally()
    yield tally
    print(
        f"\ndays: {len(SEEDS)} seeds, {tally.passes} passes, {tally.checks} checks, "
        f"{tally.restarts} restarts of the daemon"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_days_under_fire_keep_every_invariant_and_end_in_peace(seed: int, total: Tally) -> None:
    with replay(seed):
        total.add(DaysRun(seed).live())


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    """S16, over days: every decision, its instant and its words."""
    digests = set()
    with replay(seed):
        for _ in range(2):
            run = DaysRun(seed)
            run.days.storm()
            digests.add(run.days.digest.hexdigest())
    assert len(digests) == 1


def test_a_seed_that_fails_says_how_to_see_it_again() -> None:
    with pytest.raises(AssertionError, match=r"ROTA_SEEDS=42 python -m pytest \S+/test_days\.py"), replay(42):
        raise AssertionError("it does not converge")


# --- the invariants themselves: each catches the bug that is planted for it

WEB = WorkloadId("shop", "web")
COUNT = itertools.count()


@dataclass
class QuietLife(DaysLife):
    """A small fleet to which nothing happens."""

    fleet: Fleet = field(default_factory=lambda: small())

    def first_fleet(self) -> Fleet:
        return self.fleet

    def plan(self, world: Days) -> None:
        pass


def small(memory: int = 128) -> Fleet:
    services = [
        builders.service("web", 4, memory=memory),
        builders.service("db", 1, container=builders.pinned(), spec_hash="v1:db"),
    ]
    hosts = [builders.host(f"h{number}", memory=2048) for number in range(3)]
    return builders.fleet(hosts, services, (builders.policy(windows=(builders.window("07:00", "20:00"),)),))


def planted(spoil: Callable[[Decision, ObservedState, Now], Decision]) -> Callable[..., Decision]:
    """A brain whose decisions are spoilt."""

    def brain(
        fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now, solver: Solver | None
    ) -> Decision:
        return spoil(decide(fleet, observed, ledger, now, solver), observed, now)

    return brain


def on_one_host(
    fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now, _: Solver | None
) -> Decision:
    return all_on("h1")(fleet, observed, ledger, now)


def without_windows(decision: Decision, _: ObservedState, __: Now) -> Decision:
    return replace(decision, windows=())


def another_window(decision: Decision, _: ObservedState, __: Now) -> Decision:
    return replace(decision, windows=tuple(replace(one, window="planted") for one in decision.windows))


def another_time_each(decision: Decision, _: ObservedState, __: Now) -> Decision:
    return replace(decision, requeue_after=1000.0 + next(COUNT))


def always_moving(decision: Decision, _: ObservedState, now: Now) -> Decision:
    moves = {(WEB, 0): Move(source="h0", target=f"h{now.mono}", cause="planted")}
    return replace(decision, ledger=replace(decision.ledger, moves=moves), requeue_after=1.0)


def stops_what_is_silent(decision: Decision, observed: ObservedState, _: Now) -> Decision:
    silent = [
        one for one in observed.containers() if observed.hosts[one.host].state is not HostState.REACHABLE
    ]
    return replace(decision, actions=(*decision.actions, *(stop_of(one, "planted") for one in silent)))


def stops_what_starts(decision: Decision, observed: ObservedState, _: Now) -> Decision:
    stops = tuple(stop_of(one, "planted") for one in observed.containers() if one.id.startswith("pending:"))
    return replace(decision, actions=decision.actions + stops)


def stops_at_rest(decision: Decision, observed: ObservedState, _: Now) -> Decision:
    if decision.changes:
        return decision
    return replace(decision, actions=tuple(stop_of(one, "planted") for one in [*observed.containers()][:1]))


def idle(decision: Decision, _: ObservedState, __: Now) -> Decision:
    return replace(decision, actions=())


def quiet(brain: Callable[..., Decision] = decide, fleet: Fleet | None = None) -> Days:
    return Days(QuietLife(0, fleet=fleet or small()), brain, repeats=1)


@pytest.mark.parametrize(
    ("brain", "invariant", "caught"),
    [
        (planted(without_windows), one_rule_applies, "S7: not one rule"),
        (planted(another_window), one_rule_applies, "S7: shop/day-night was planted"),
        (planted(another_time_each), one_rule_applies, "S16: the same inputs"),
        (planted(always_moving), MovesAnHour(), "moves: 61 within the hour, of 60"),
        (planted(stops_what_is_silent), unknown_loses_nothing, "S3: stop"),
        (planted(stops_what_starts), only_what_is_seen_is_stopped, "stops pending:"),
    ],
)
def test_a_planted_bug_is_caught(
    brain: Callable[..., Decision], invariant: Callable[[Days], None], caught: str
) -> None:
    days = quiet(brain)
    days.invariants.append(invariant)
    with pytest.raises(AssertionError, match=caught):
        days.simulation.run(60.0)
        days.engines["h1"].hang()
        days.simulation.run(120.0)


def test_a_host_above_its_capacity_for_a_moment_is_caught() -> None:
    days = quiet(on_one_host, small(memory=1024))
    days.always.append(CapacityAlways())
    with pytest.raises(AssertionError, match="capacity: h1 has"):
        days.simulation.run(60.0)


def test_a_volume_that_goes_is_caught() -> None:
    days = quiet()
    days.invariants.append(VolumesStay())
    days.simulation.run(60.0)
    for engine in days.engines.values():
        engine.volumes.clear()
    with pytest.raises(AssertionError, match="S17: volumes are gone"):
        days.simulation.run(HOUR)


def test_a_fleet_that_is_not_left_in_peace_is_caught() -> None:
    run = DaysRun(0, planted(stops_at_rest))
    run.days = quiet(planted(stops_at_rest))
    run.days.simulation.run(20.0)
    with pytest.raises(AssertionError, match="S14: an unchanged fleet was changed"):
        run.rest()


def test_a_fleet_that_does_not_get_there_is_caught() -> None:
    run = DaysRun(0)
    run.days, run.life = quiet(planted(idle)), QuietLife(0)
    run.days.simulation.run(20.0)
    with pytest.raises(AssertionError, match="it does not converge"):
        run.calm()


def test_without_a_planted_bug_the_same_fleet_is_at_peace() -> None:
    run = DaysRun(0)
    run.days, run.life = quiet(), QuietLife(0)
    run.days.invariants += [one_rule_applies, MovesAnHour(), unknown_loses_nothing, VolumesStay()]
    run.days.simulation.run(60.0)
    run.calm()
    run.rest()
    assert run.missing() == []
