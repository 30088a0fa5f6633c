"""One instant played to its end: decisions are carried out until nothing more is to be done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rota.core.decide import Decision, survey
from rota.core.forecast.world import acted, finished
from rota.core.ids import WorkloadId
from rota.core.ledger import Ledger
from rota.core.model import Fleet
from rota.core.observed import Now, ObservedState
from rota.core.placement.board import Board
from rota.core.placement.even_out import even_out
from rota.core.placement.puzzle import Solver
from rota.core.planning.actions import Change, ChangeKind

MOST_ROUNDS = 60
"""Decisions at one instant. A rollout of a surge of 25 % takes about ten; what takes more is left at that."""

SlotChange = tuple[ChangeKind, WorkloadId, int]
"""What becomes of one slot, however many rounds it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What an instant begins with, or leaves behind."""

    observed: ObservedState
    ledger: Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What one instant comes to.

    `first` is the decision about what was there before, `last` the one after which nothing is left to do,
    `board` what it left free. `changed` counts the slots that started, stopped, were replaced or moved,
    `started` those that started by workload; of the workloads in `waited`, some had to wait for room.
    """

    snapshot: Snapshot
    first: Decision
    last: Decision
    board: Board
    changed: Mapping[ChangeKind, int]
    started: Mapping[WorkloadId, int]
    waited: frozenset[WorkloadId]


@dataclass(slots=True)
class Player:
    """Settles instants of one fleet. `decisions` counts what that took."""

    fleet: Fleet
    solver: Solver | None = None
    decisions: int = field(default=0, init=False)
    _left: ObservedState | None = field(default=None, init=False)
    """What the last instant left behind: in it, nothing is under way."""

    def settle(self, before: Snapshot, now: Now) -> Settled:
        """Decide and carry out until there is nothing more to do."""
        observed, ledger = before.observed, before.ledger
        seen: set[SlotChange] = set()
        pending: set[SlotChange] = set()
        first: Decision | None = None
        for _ in range(MOST_ROUNDS):
            decision, board = survey(self.fleet, observed, ledger, now, self.solver)
            self.decisions += 1
            first = first or decision
            # In a world without delay there is nothing to be learnt about how long a start takes.
            ledger = replace(decision.ledger, starting={}, start_times=before.ledger.start_times)
            asked = {_slot(one) for one in decision.changes}
            seen |= asked
            observed = acted(observed, decision.actions)
            if decision is first and before.observed is not self._left:
                observed = finished(observed)
            if is_last(decision, board, self.fleet):
                pending = set()
                break
            pending = asked
            if not decision.actions:
                break
        assert first is not None
        done = seen - pending
        self._left = observed
        return Settled(
            snapshot=Snapshot(observed=observed, ledger=ledger),
            first=first,
            last=decision,
            board=board,
            changed=Counter(kind for kind, _, _ in done),
            started=Counter(workload for kind, workload, _ in done if kind is ChangeKind.START),
            waited=frozenset(
                one.workload for one in first.changes if one.waits and _starts(one) and _slot(one) in done
            ),
        )


def is_last(decision: Decision, board: Board, fleet: Fleet) -> bool:
    """Whether a further decision would find nothing to do once this one is carried out.

    So it is where everything that changes starts or stops now and everything has a place, where nothing that
    fills has changed, for what is left over is shared out step by step, and where nothing that came or went
    leaves a workload to be evened out, which waits until it is at rest.
    """
    fills = {workload for workload, want in decision.wants.items() if want.fill is not None}
    plain = all(
        one.kind in (ChangeKind.START, ChangeKind.STOP) and not one.waits and one.workload not in fills
        for one in decision.changes
    )
    if not plain or decision.unplaced:
        return False
    if not decision.changes:
        return True
    later = at_rest(board)
    return all(even_out(service, later, {}) is None for service in fleet.services.values())


def at_rest(board: Board) -> Board:
    """The board once everything that leaves has left."""
    later = board.checkpoint()
    return replace(
        later,
        free_now=later.free_after.copy(),
        ports_now=dict(later.ports_after),
        _free_both=None,
        _floats={},
    )


def _slot(change: Change) -> SlotChange:
    return change.kind, change.workload, change.slot


def _starts(change: Change) -> bool:
    return change.kind is ChangeKind.START and change.host is not None
