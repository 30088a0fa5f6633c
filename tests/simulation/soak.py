"""Thousands of seeds of `days` on every core: `python -m tests.simulation.soak 10000`.

It ends with what it did and with the command that replays each seed that failed; then its exit code is 1.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter

import structlog

from rota.core.decide import decide
from rota.core.planning.waits import WaitReason
from rota.core.windows import in_force
from rota.reconcile import Brain
from tests.simulation.convergence import CONVERGENCE
from tests.simulation.days import DAYS, Days, DaysLife
from tests.simulation.invariants import (
    VolumesStay,
    a_pinned_slot_runs_once,
    budgets_hold,
    foreign_is_untouched,
    only_what_is_seen_is_stopped,
    unknown_loses_nothing,
)
from tests.simulation.order import (
    no_host_is_over_any_capacity,
    quotas_hold,
    unsettled,
    what_fills_stays_within_its_bounds,
    what_starts_may_stand_where_it_starts,
)
from tests.simulation.world import Tally

CALM_SECONDS = 3 * 3600.0
"""Longer than the longest back-off, a deadline, a grace, and the hour in which moves are counted."""
QUIET_SECONDS = 120.0
REST_SECONDS = 600.0
FINAL = (WaitReason.NO_SEAT, WaitReason.NO_ROOM_FOR_SURGE, WaitReason.BUDGET)
"""What a change may wait for in the end."""


@contextlib.contextmanager
def replay(seed: int) -> Iterator[None]:
    """Whatever fails says how to see it again; a crash, where it happened as well."""
    try:
        yield
    except Exception as error:
        said = str(error)
        if not isinstance(error, AssertionError):
            at = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error} ({at.filename}:{at.lineno})"
        raise AssertionError(f"{said}\nseed {seed}; again: {command(seed)}") from error


def command(seed: int) -> str:
    """What runs one seed alone."""
    return f"ROTA_SEEDS={seed} python -m pytest tests/simulation/test_days.py"


def one_rule_applies(days: Days) -> None:
    """S7: every policy has exactly one window in force, and which one follows from policy and instant."""
    assert days.decision is not None
    assert days.last is not None
    policies = [one.policy for one in days.decision.windows]
    assert policies == list(days.fleet.policies), "S7: not one rule for each policy"
    for one in days.decision.windows:
        again = in_force(one.policy, days.fleet, days.last.now.wall)
        assert again == one, f"S7: {one.policy} was {one.window}, and is {again.window}"
        named = [each for each in one.policy.windows if each.name == one.window]
        assert len(named) == (one.window != "base"), f"S7: {one.policy} has no window {one.window}"
    assert days.decision.wants.keys() == days.fleet.services.keys(), "S7: a workload without a rule"


@dataclass
class CapacityAlways:
    """S5 at every instant: hosts are looked at again when something changed on them."""

    seen: dict[str, int] = field(default_factory=dict)
    revision: str = ""

    def __call__(self, days: Days) -> None:
        changes = {name: engine.changes for name, engine in days.engines.items()}
        if changes != self.seen or self.revision != days.fleet.revision:
            self.seen, self.revision = changes, days.fleet.revision
            no_host_is_over_any_capacity(days)  # type: ignore[arg-type]


@dataclass
class MovesAnHour:
    """Moves by choice of one daemon within any hour, against the limit of the fleet."""

    daemon: int = 0
    doing: frozenset[str] = frozenset()
    begun: deque[float] = field(default_factory=deque)

    def __call__(self, days: Days) -> None:
        assert days.decision is not None
        if self.daemon != days.tally.restarts:
            self.daemon = days.tally.restarts
            self.begun.clear()
        now = days.clock.mono
        while self.begun and self.begun[0] <= now - 3600.0:
            self.begun.popleft()
        moves = frozenset(f"{slot} > {one.target}" for slot, one in days.decision.ledger.moves.items())
        fresh = moves - self.doing
        self.begun.extend(now for _ in fresh)
        self.doing = moves
        limit = days.fleet.max_moves_per_hour
        assert not fresh or len(self.begun) <= limit, f"moves: {len(self.begun)} within the hour, of {limit}"


INVARIANTS = (
    a_pinned_slot_runs_once,
    foreign_is_untouched,
    unknown_loses_nothing,
    only_what_is_seen_is_stopped,
    budgets_hold,
    what_starts_may_stand_where_it_starts,
    what_fills_stays_within_its_bounds,
    quotas_hold,
    one_rule_applies,
    *CONVERGENCE,
)


class DaysRun:
    """One seed: days with faults, the calm after them, and rest."""

    def __init__(self, seed: int, brain: Brain = decide) -> None:
        self.life = DaysLife(seed)
        self.days = Days(self.life, brain)
        self.days.invariants += [*INVARIANTS, VolumesStay(), MovesAnHour()]
        self.days.always += [CapacityAlways()]

    def live(self) -> Tally:
        self.days.storm()
        self.calm()
        self.rest()
        return self.days.tally

    def calm(self) -> None:
        """Until everything is as the last commit asks, and stays so."""
        days = self.days
        self.life.calm(days)
        began = moved = days.clock.mono
        while days.clock.mono - moved < QUIET_SECONDS:
            days.simulation.run(30.0)
            missing = self.missing()
            if missing:
                moved = days.clock.mono
            assert moved - began < CALM_SECONDS, "\n".join(["it does not converge", *missing])

    def missing(self) -> list[str]:
        """What is not as the last commit asks, or not left in peace."""
        decision = self.days.decision
        assert decision is not None
        roomless = {one.workload for one in decision.changes if one.waits_for(WaitReason.NO_ROOM_FOR_SURGE)}
        waiting = [
            str(one)
            for one in decision.changes
            # Where the canary itself finds no room to be tried, all others wait for it.
            if not one.waits_for(*FINAL)
            and not (one.workload in roomless and one.waits_for(WaitReason.CANARIES))
        ]
        actions = [one.id for one in decision.actions]
        found = [*self.days.silent(), *actions, *waiting]
        return found or unsettled(self.days)  # type: ignore[arg-type]

    def rest(self) -> None:
        """S14: where nothing changes, nothing is changed."""
        days = self.days
        edge = days.decision.next_edge if days.decision is not None else None
        ahead = REST_SECONDS if edge is None else (edge - days.clock.wall).total_seconds() - 1.0
        writes = days.writes
        days.simulation.run(max(min(REST_SECONDS, ahead), 0.0))
        assert days.writes == writes, "S14: an unchanged fleet was changed"
        days.tally.checks += 1


def _soak(seed: int) -> tuple[str, Tally]:
    """What went wrong, if anything, and what was done until then."""
    run = DaysRun(seed)
    try:
        with replay(seed):
            run.live()
    except AssertionError as error:
        return str(error), run.days.tally
    return "", run.days.tally


def _quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("error"))


def main(count: int) -> int:
    """Run seeds 0 to `count`, not included; the exit code."""
    began = perf_counter()
    total, failed = Tally(), list[int]()
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), initializer=_quiet) as pool:
        for seed, (error, tally) in enumerate(pool.map(_soak, range(count))):
            total.add(tally)
            if error:
                failed.append(seed)
                print(error, flush=True)
            if (seed + 1) % 500 == 0:
                print(f"{seed + 1} seeds, {total.passes} passes, {len(failed)} failed", flush=True)
    print(
        f"soak: {count} seeds of {DAYS} days, {total.passes} passes, {total.checks} checks, "
        f"{perf_counter() - began:.0f} s on {os.cpu_count()} cores, {len(failed)} seeds failed"
    )
    for seed in failed:
        print(f"  again: {command(seed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
