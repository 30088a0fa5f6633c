"""The one disruption budget of a workload: how many of its healthy instances may go, whoever asks.

Rollouts, drains, moves, preemption, edges and what yields all ask here; so what one takes, no other has.
"""

from __future__ import annotations

from rota.core.model import Amount
from rota.core.planning.roster import Roster


def spare(roster: Roster, allowed: Amount, owed: int, yielding: int = 0) -> int:
    """How many healthy instances there are above `owed` less the `allowed` ones; below 0, how many are
    lacking.

    What was lost without being asked counts against it like everything else. `yielding` instances go anyway
    and are spared by nobody: of what is left once they have gone, the budget is asked.
    """
    return roster.healthy - yielding - (owed - allowed.of(owed))
