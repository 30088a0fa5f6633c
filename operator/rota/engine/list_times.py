"""When to list a host's containers: soon after something stirred, but not so often that it costs much."""

from __future__ import annotations

from rota.core.placement.terrain import stable_hash

COALESCE_SECONDS = 0.05
"""Events that come within this time share one list."""
SETTLE_SECONDS = (0.5, 2.0)
"""Lists again after the last event: an Engine tells of a death before its own list shows it."""
RELIST_SECONDS = 30.0
"""A full list about this often, for what an event stream may have lost; at another time on each host, so that
hosts that were met together are not listed together."""
RELIST_JITTER = 0.1
BUSY_RELIST_SECONDS = 1.0
"""The same while work is under way, whose end only a list shows."""
LIST_SHARE = 0.1
"""Lists take about this share of a busy Engine's time, however many events there are."""
NEVER = float("inf")


class ListTimes:
    """The times of one host's lists, in monotonic seconds."""

    def __init__(self, host: str) -> None:
        share = stable_hash(f"list {host}") / 2**64
        self._relist = RELIST_SECONDS * (1 + RELIST_JITTER * share)
        self.asked_at = 0.0
        self._due = 0.0
        self._settle: tuple[float, ...] = ()
        self._seconds = 0.0
        self._not_before = 0.0

    @property
    def quiet(self) -> bool:
        """Whether no list is due but the one that is made in any case."""
        return self._due == NEVER and not self._settle

    def at(self, *, awaited: bool, wanted: float) -> float:
        """When to list next, at the latest at `wanted`. `awaited`: work under way waits for what it shows."""
        relist = BUSY_RELIST_SECONDS if awaited else self._relist
        return max(self._not_before, min(self._due, wanted, self.asked_at + relist, *self._settle))

    def want(self, at: float) -> None:
        """List at `at`, or sooner."""
        self._due = min(self._due, at)

    def stir(self, now: float, *, busy: bool) -> None:
        """List soon; of a `busy` host not too often."""
        rest = self._seconds / LIST_SHARE if busy else 0.0
        self.want(max(now + COALESCE_SECONDS, self.asked_at + min(rest, BUSY_RELIST_SECONDS)))

    def settle(self, now: float) -> None:
        """An event came: look again for what the Engine shows late."""
        self._settle = tuple(now + seconds for seconds in SETTLE_SECONDS)

    def asked(self, now: float) -> None:
        self.asked_at, self._due = now, NEVER
        self._settle = tuple(at for at in self._settle if at > now)

    def answered(self, now: float) -> None:
        self._seconds = now - self.asked_at

    def failed(self, now: float, wait: float) -> None:
        """It was not listed: again after `wait` seconds, whatever happens until then."""
        self._not_before = now + wait
        self.want(now + wait)
