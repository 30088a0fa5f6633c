"""Whether a host lives: from what answered and what did not to reachable, suspect or lost.

Two silences are told apart. Where nothing of a host answers, what it ran is gone for whoever used it. Where
its kernel still refuses or accepts connections, only its Engine is down or hangs and its containers go on, so
that it is given up much later. Monotonic seconds throughout.
"""

from __future__ import annotations

from rota.core.model import FailureSettings
from rota.core.observed import HostState
from rota.core.planning.back_off import delay
from rota.engine.port import Trouble

FEWEST_FAILED_PROBES = 2
"""A host is not lost by the clock alone: so many probes have failed since the last sign of it."""
MOST_PROBES = 2
"""Under way at a time: they go out with every heartbeat, and may take longer to fail."""
LONGEST_PROBE_SECONDS = 5.0
UNANSWERED = frozenset({Trouble.REFUSED, Trouble.SILENT, Trouble.HUNG, Trouble.LOST})
"""Without an answer of the Engine's API."""
_SIGNS = frozenset({Trouble.REFUSED, Trouble.HUNG})
"""Of these, what only a host that lives can do."""


class Liveness:
    """What is known of one host's life, and when it is to be probed next."""

    def __init__(self, host: str, failure: FailureSettings) -> None:
        self._host = host
        self._failure = failure
        self._heard_once = False
        self._last_answer = 0.0
        self._last_sign = 0.0
        self._last_step: float | None = None
        self._failed_probes = 0
        self._late_probes = 0
        self._lost = False
        self._trouble: tuple[bool, str] | None = None
        self.probe_due = 0.0

    @property
    def last_answer(self) -> float:
        """When its API answered last; before it ever did, when this daemon began."""
        return self._last_answer

    @property
    def doubted(self) -> bool:
        """Whether a call was not answered since its API answered last."""
        return self._trouble is not None

    def step(self, now: float) -> None:
        """To be told of every instant. A daemon that overslept heard nobody: that is no host's fault."""
        if self._last_step is None:
            self._last_answer = self._last_sign = now
            self.probe_due = now + self._failure.heartbeat
        elif now - self._last_step > self._failure.suspect_after:
            gap = now - self._last_step
            self._last_answer += gap
            self._last_sign += gap
            self._failed_probes = 0
        self._last_step = now

    def heard(self, now: float) -> None:
        """Its API answered, whatever it said."""
        self._heard_once, self._lost, self._trouble = True, False, None
        self._last_answer = self._last_sign = now
        self._failed_probes = self._late_probes = 0
        self.probe_due = now + self._failure.heartbeat

    def unanswered(self, trouble: Trouble, message: str, now: float) -> None:
        """A call ended without an answer of its API."""
        lives = trouble in _SIGNS
        if self._trouble is None or self._trouble[0] is not lives:
            # The first words stand: what is told of a host must not change with every probe.
            self._trouble = lives, message
        if lives:
            self._last_sign, self._failed_probes = now, 0

    def probed(self, now: float) -> None:
        """A probe goes out: the next follows after a heartbeat, but for a lost host."""
        self.probe_due = now + (LONGEST_PROBE_SECONDS if self._lost else self._failure.heartbeat)

    def probe_failed(self, asked_at: float, now: float) -> None:
        """What was not answered was a probe. Those of a lost host become rarer."""
        self._failed_probes += asked_at >= self._last_sign
        if self._lost:
            self._late_probes += 1
            heartbeat = self._failure.heartbeat
            longest = max(LONGEST_PROBE_SECONDS, heartbeat)
            wait = min(delay(self._late_probes, self._host) * heartbeat, longest)
            self.probe_due = max(now, asked_at + wait)

    def judge(self, now: float) -> HostState:
        """Reachable, suspect, or lost until its API answers; unknown while there was no time to answer."""
        silent = now >= self._silent_at and self._failed_probes >= FEWEST_FAILED_PROBES
        if self._lost or silent or now >= self._down_at:
            self._lost = True
            return HostState.LOST
        if now >= self._suspect_at:
            return HostState.SUSPECT
        return HostState.REACHABLE if self._heard_once else HostState.UNKNOWN

    @property
    def detail(self) -> str:
        """What does not answer, and how."""
        if self._trouble is None:
            return "does not answer" if self._heard_once else "has not answered yet"
        lives, message = self._trouble
        return f"{'its Engine does not answer' if lives else 'nothing of it answers'}: {message}"

    def wake_at(self, now: float) -> list[float]:
        """When the verdict changes if nothing is heard. A pause would count as a sleep, and be forgiven."""
        pause = [now + self._failure.heartbeat] if now > self._last_answer else []
        return [self._suspect_at, self._silent_at, self._down_at, *pause]

    @property
    def _suspect_at(self) -> float:
        return self._last_answer + self._failure.suspect_after

    @property
    def _silent_at(self) -> float:
        return self._last_sign + max(self._failure.lost_after, self._failure.suspect_after)

    @property
    def _down_at(self) -> float:
        return self._last_answer + max(self._failure.engine_down_after, self._failure.suspect_after)
