"""What placement came to: seats, and what had to be done for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from rota.core.ids import WorkloadId
from rota.core.ledger import Move, PinKey
from rota.core.placement.demand import Refusal
from rota.core.placement.even_out import Repair
from rota.core.placement.headroom import Headroom
from rota.core.placement.make_room import Eviction
from rota.core.planning.actions import ChangeKind
from rota.core.planning.scene import Scene
from rota.core.planning.shift import Kind, Seat, Shift
from rota.core.planning.steps import Start


@dataclass(slots=True, kw_only=True)
class Arrangement:
    """What placement came to.

    `seats` and `refusals` by kind of start; `evictions` make room for others; `counts` is what fills,
    `given_up` the hosts that one instance of it each leaves; `repairs` are moves for the sake of spread;
    `moves` all that move although they could stay, by slot; `holds` the hosts on which what is stopped first
    leaves its room to its successor.
    """

    seats: dict[Kind, list[Seat]] = field(default_factory=lambda: defaultdict(list))
    refusals: dict[Kind, tuple[Refusal, ...]] = field(default_factory=dict)
    evictions: list[Eviction] = field(default_factory=list)
    counts: dict[WorkloadId, int] = field(default_factory=dict)
    given_up: dict[WorkloadId, list[str]] = field(default_factory=dict)
    repairs: dict[WorkloadId, Repair] = field(default_factory=dict)
    moves: dict[PinKey, Move] = field(default_factory=dict)
    holds: dict[PinKey, str] = field(default_factory=dict)
    headroom: Headroom | None = None
    _pools: dict[Kind, Counter[Seat]] = field(default_factory=dict)
    _orders: dict[Kind, list[Seat]] = field(default_factory=dict)

    def wish(self, start: Start, shift: Shift, scene: Scene) -> str | None:
        """The host that a start should go to: where its worker has this very start in its queue, for the
        decision of the pass before stands; where room is reserved for it; else as its rollout says."""
        queued = scene.queued.get((shift.id, start.slot, shift.service_of(start).spec_hash))
        return queued or reserved((shift.id, start.slot), scene) or start.prefer

    def take(self, kind: Kind, prefer: str | None) -> Seat | None:
        """A seat for one start: on the host that it prefers, else one that is free now."""
        pool = self._pools.get(kind)
        if pool is None:
            pool = self._pools[kind] = Counter(self.seats.get(kind, ()))
            self._orders[kind] = sorted(pool, key=lambda seat: (seat.waits_for_room, seat.host), reverse=True)
        for seat in (Seat(prefer), Seat(prefer, True)) if prefer is not None else ():
            if pool[seat] > 0:
                pool[seat] -= 1
                return seat
        order = self._orders[kind]
        while order and pool[order[-1]] <= 0:
            order.pop()
        if not order:
            return None
        pool[order[-1]] -= 1
        return order[-1]


def wants_seat(start: Start) -> bool:
    """A replacement whose turn has not come is only announced."""
    return start.wait is None or start.change is ChangeKind.START


def reserved(key: PinKey, scene: Scene) -> str | None:
    """The host that has room reserved for a slot, unless it was never claimed in all that time."""
    found = scene.ledger.reservations.get(key)
    return found.host if found is not None and found.until > scene.now.mono else None
