"""The git side in memory: a branch whose head is set by hand, and a status branch that is only kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rota.core.model import Fleet
from rota.gitrepo.status_branch import StatusTip
from rota.gitrepo.worker import GitView, Publication
from rota.manifest.load import Loaded
from rota.simulation.clock import VirtualClock

OPERATOR = "simulated"
NEVER = float("inf")


class MemoryRepository:
    """Stands in for `GitWorker`. `on_change` is called when there is news.

    A publication stands on the status branch `lag` seconds after it was given; those that come meanwhile
    replace it. Without a lag it stands there at once.
    """

    def __init__(
        self, fleet: Fleet, clock: VirtualClock, on_change: Callable[[], None] = lambda: None
    ) -> None:
        self.lag = 0.0
        self._clock = clock
        self._on_change = on_change
        self._view = GitView(head=fleet.revision, loaded=_loaded(fleet), ready=True)
        self._wanted: Publication | None = None
        self._push_at = NEVER

    def commit(self, fleet: Fleet) -> None:
        """The branch moves: `fleet` is what its head says. Its revision must be a new one."""
        self._view = replace(self._view, head=fleet.revision, loaded=_loaded(fleet))
        self._on_change()

    def view(self) -> GitView:
        self.settle()
        return self._view

    def publish(self, publication: Publication) -> None:
        self._wanted = publication
        self._push_at = min(self._push_at, self._clock.mono + self.lag)
        self.settle()

    @property
    def next_change(self) -> float:
        """When what was published stands on the branch, in monotonic seconds."""
        return self._push_at

    def settle(self) -> None:
        """Push what is due. It is news only where something waits for it: a claim, a pin."""
        if self._wanted is None or self._push_at > self._clock.mono:
            return
        before, wanted = self._view, self._wanted
        self._wanted, self._push_at = None, NEVER
        self._view = replace(before, published=wanted, claimed=True)
        recorded = before.published.pins if before.published is not None else frozenset()
        if not before.claimed or wanted.pins != recorded:
            self._on_change()

    def restart(self) -> None:
        """The daemon is gone and a new one looks: what was not pushed yet is lost."""
        self._wanted, self._push_at = None, NEVER
        published = self._view.published
        tip = self._view.tip
        if published is not None:
            tip = StatusTip(commit="", operator_id=OPERATOR, committed_at=published.at, files=published.files)
        self._view = GitView(
            head=self._view.head, loaded=self._view.loaded, ready=True, tip=tip, claimed=self._view.claimed
        )


def _loaded(fleet: Fleet) -> Loaded:
    return Loaded(fleet=fleet, problems=(), documents=())
