"""Whole fleets under fire: seeded runs with every invariant checked after every pass.

`ROTA_SEEDS=7,8` runs those seeds instead of the usual ones.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rota.core.decide import Decision, decide
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import Now, ObservedState
from rota.core.planning.actions import StartInstance, stop_of
from tests import builders
from tests.simulation.convergence import CONVERGENCE, unfinished
from tests.simulation.fleets import MISSING_IMAGE, TRAITS, Life
from tests.simulation.invariants import (
    VolumesStay,
    a_pinned_slot_runs_once,
    budgets_hold,
    differences,
    foreign_is_untouched,
    no_host_is_overbooked,
    only_what_is_seen_is_stopped,
    unknown_loses_nothing,
)
from tests.simulation.world import Decide, Tally, VirtualClock, World

SEEDS = [int(text) for text in os.environ.get("ROTA_SEEDS", "").split(",") if text] or list(range(30))
STORM_SECONDS = 60.0
CALM_SECONDS = 420.0
"""Longer than deaths are held against a host, with a deadline and a grace besides."""
QUIET_SECONDS = 3.0
"""Longer than a new instance soaks and an old one takes to stop."""
STEP = 0.25
IDLE_SECONDS = 30.0


class Run:
    """One seed: a storm, the calm after it, and a digest of every decision on the way."""

    def __init__(self, seed: int, brain: Decide = decide, life: Life | None = None) -> None:
        self.life = life or Life(seed)
        self.world = World(self.life.first_fleet(), VirtualClock(), seed, publishes=0.7, brain=brain)
        self.world.slow = self.life.choose.choice((0.0, 0.1, 0.3))
        self.lazy = seed % 2 == 1
        self.commits = 0
        self.passed = 0.0
        self.digest = hashlib.sha256()
        self.world.invariants += [
            a_pinned_slot_runs_once,
            foreign_is_untouched,
            unknown_loses_nothing,
            no_host_is_overbooked,
            only_what_is_seen_is_stopped,
            budgets_hold,
            *CONVERGENCE,
            VolumesStay(),
        ]

    def storm(self) -> None:
        for _ in range(round(STORM_SECONDS / STEP)):
            for engine in self.world.engines.values():
                engine.unpullable, engine.traits = {MISSING_IMAGE}, TRAITS
            self.life.happen(self.world)
            self._pass()

    def calm(self) -> float:
        """The seconds until everything is as the last commit asks, and stays so: what has become uneven is
        evened out only once nothing else is under way."""
        world = self.world
        self.life.calm(world)
        began = moved = world.clock.mono
        while world.clock.mono - moved < QUIET_SECONDS:
            assert world.clock.mono - began < CALM_SECONDS, self.trouble()
            self._pass()
            if self.missing():
                moved = world.clock.mono
        return moved - began

    def missing(self) -> list[str]:
        """What is not yet as the last commit asks, or not left in peace."""
        assert self.world.decision is not None
        return [*map(str, self.world.decision.changes), *differences(self.world), *unfinished(self.world)]

    def rest(self) -> int:
        """How many changing calls follow when nothing is left to do."""
        before = self.world.writes
        for _ in range(40):
            self._pass(1.0)
        assert self.missing() == []
        return self.world.writes - before

    def _pass(self, seconds: float = STEP) -> None:
        """Let time pass; then a pass, which a lazy run makes when something happened or is due, as the
        controller does, and every half minute."""
        self.world.tick(seconds)
        news = self.commits != self.life.commits or self.world.clock.mono - self.passed >= IDLE_SECONDS
        if self.lazy and not news and not self.world.stirs():
            return
        self.commits, self.passed = self.life.commits, self.world.clock.mono
        decision = self.world.decide()
        self.digest.update(repr((decision.actions, decision.changes, decision.unplaced)).encode())

    def trouble(self) -> str:
        decision = self.world.decision
        assert decision is not None
        changes = "\n".join(f"  {one}" for one in decision.changes)
        hosts = {name: str(view.state) for name, view in self.world.observed.hosts.items()}
        why = [decision.held, decision.guard.message, str(decision.unplaced), str(decision.ledger.failures)]
        first = f"seed {self.life.seed} does not converge"
        return "\n".join([first, *self.missing(), changes, str(hosts), *map(str, why)])


@pytest.fixture(scope="module")
def total() -> Iterator[Tally]:
    tally = Tally()
    yield tally
    print(
        f"\nsimulation: {len(SEEDS)} seeds, {tally.passes} passes, {tally.checks} checks, "
        f"{tally.calls} calls, {tally.restarts} restarts of the daemon"
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_fleet_under_fire_keeps_every_invariant_and_comes_to_rest(seed: int, total: Tally) -> None:
    run = Run(seed)
    run.storm()
    run.calm()
    assert run.rest() == 0
    total.add(run.world.tally)


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_same_seed_gives_the_same_decisions(seed: int) -> None:
    digests = []
    for _ in range(2):
        run = Run(seed)
        run.storm()
        digests.append(run.digest.hexdigest())
    assert digests[0] == digests[1]


PRINT_DIGEST = """
from tests.simulation.test_fleets import Run
run = Run(7)
run.storm()
print(run.digest.hexdigest())
"""


def test_decisions_do_not_depend_on_the_order_of_hashes() -> None:
    root = Path(__file__).parents[2]
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": f"{root / 'operator'}{os.pathsep}{root}",
            "PATH": os.environ.get("PATH", ""),
        }
        ran = subprocess.run(
            [sys.executable, "-P", "-c", PRINT_DIGEST],
            cwd=root,
            env=environment,
            capture_output=True,
            check=True,
        )
        digests.add(ran.stdout)
    assert len(digests) == 1


# --- the invariants themselves: each catches the bug that is planted for it


FOREIGN_ID = hashlib.sha256(b"h0/somebody-elses/1").hexdigest()
"""The memory engine's ids replay."""


def _calm_world(brain: Decide, *invariants: Callable[[World], None]) -> World:
    services = [
        builders.service("web", 4),
        builders.service("db", 1, container=builders.pinned(), spec_hash="v1:db"),
    ]
    world = World(
        builders.fleet([builders.host(f"h{n}") for n in range(3)], services), VirtualClock(), brain=brain
    )
    world.invariants += invariants
    world.add_foreign("h0", "somebody-elses")
    return world


def _starts_twice(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: a pinned slot is started on the host after its own as well."""
    decision = decide(fleet, observed, ledger, now)
    copies = tuple(
        replace(one, host=f"h{(int(one.host[1:]) + 1) % 3}")
        for one in decision.actions
        if isinstance(one, StartInstance) and one.volumes
    )
    return replace(decision, actions=decision.actions + copies)


def _stops_all(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: all that is healthy is stopped at once."""
    decision = decide(fleet, observed, ledger, now)
    stops = tuple(stop_of(one, "planted") for one in observed.containers() if one.ready)
    return replace(decision, actions=decision.actions + stops)


def _stops_foreign(fleet: Fleet, observed: ObservedState, ledger: Ledger, now: Now) -> Decision:
    """Planted: the container of somebody else on the first host is stopped, by its id."""
    decision = decide(fleet, observed, ledger, now)
    stops = tuple(
        replace(stop_of(one, "planted"), container_id=FOREIGN_ID, slot=99)
        for one in observed.containers()
        if one.host == "h0"
    )
    return replace(decision, actions=decision.actions + stops[:1])


@pytest.mark.parametrize(
    ("brain", "invariant", "caught"),
    [
        (_starts_twice, a_pinned_slot_runs_once, "S1: runs twice"),
        (_stops_foreign, foreign_is_untouched, "S2: foreign containers were touched"),
        (_stops_all, budgets_hold, "S6: shop/web is left with 0 of"),
    ],
)
def test_a_planted_bug_is_caught(brain: Decide, invariant: Callable[[World], None], caught: str) -> None:
    world = _calm_world(brain, invariant)
    assert world.foreign == {("h0", FOREIGN_ID)}
    with pytest.raises(AssertionError, match=caught):
        world.run(20.0, STEP)


def test_without_a_planted_bug_the_same_fleet_is_at_peace() -> None:
    world = _calm_world(decide, a_pinned_slot_runs_once, foreign_is_untouched, budgets_hold)
    world.run(20.0, STEP)
    assert differences(world) == []
