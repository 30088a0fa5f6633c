"""Whether the fleet survives a loss, as its status tells it: words only, the same for the same fleet."""

from __future__ import annotations

from dataclasses import dataclass

from rota.core.placement.headroom import Headroom


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """What would have no place if any one of `loss` (`hosts` or `zones`) were lost, a sentence each.

    To lack room for a loss is no condition of the fleet: nothing is wrong yet.
    """

    loss: str
    shortfalls: tuple[str, ...]


def survival_of(headroom: Headroom | None) -> Survival | None:
    """The verdict in words; None where the fleet is not to survive a loss."""
    if headroom is None:
        return None
    return Survival(loss=str(headroom.loss), shortfalls=tuple(str(one) for one in headroom.shortfalls))
