"""What an Engine says of itself, and whether it lets itself be looked at.

Monotonic seconds throughout.
"""

from __future__ import annotations

from rota.core.model import FailureSettings
from rota.core.observed import EngineFacts
from rota.core.planning.back_off import delay
from rota.engine.liveness import LONGEST_PROBE_SECONDS, UNANSWERED
from rota.engine.port import EngineError, Trouble

NEVER = float("inf")
FAILED_LOOKS = 2
"""A host that answers is doubted when so many looks at it in a row have failed."""


class Looks:
    """The facts of one Engine, when to ask for them, and why they cannot be had or are of no use."""

    def __init__(self, host: str, failure: FailureSettings) -> None:
        self._host = host
        self._failure = failure
        self.facts: EngineFacts | None = None
        self.facts_due = 0.0
        self.refused = ""
        """Why the Engine cannot be used; empty where it can."""
        self._refusals = 0
        self._failures = 0
        self._trouble = ""
        self._listed_at: float | None = None

    def heard(self, now: float) -> None:
        """It answers: after a silence it may be another one, so that its facts are asked anew."""
        self._listed_at = now if self._listed_at is None else self._listed_at
        if self.facts_due == NEVER:
            self.facts_due = now

    def doubt(self, now: float) -> None:
        """What stood with it broke: it may be another one, which two probes need not have noticed."""
        self.facts, self.facts_due = None, min(self.facts_due, now)

    def told(self, facts: EngineFacts) -> None:
        self.facts, self.refused, self._refusals = facts, "", 0

    def listed(self, now: float) -> None:
        self._listed_at, self._failures = now, 0

    def failed(self, error: EngineError, now: float) -> None:
        """A probe or a look failed."""
        if error.trouble in UNANSWERED:
            self.facts, self.facts_due = None, NEVER
            return
        if error.trouble is Trouble.UNUSABLE:
            self.facts, self.refused, self._refusals = None, str(error), self._refusals + 1
        if self.facts is None:
            self.facts_due = now + self._wait()

    def look_failed(self, error: EngineError) -> None:
        """Facts or a list could not be had, although it answered since they were asked for."""
        self._failures += 1
        self._trouble = str(error)

    def blind(self, now: float) -> str:
        """Why it answers and still cannot be looked at; empty where it can, or may soon."""
        since = self._listed_at if self._listed_at is not None else now
        if self._failures < FAILED_LOOKS or now < since + self._failure.suspect_after:
            return ""
        return f"its containers cannot be listed: {self._trouble}"

    def _wait(self) -> float:
        """Until facts are asked again; of an Engine that cannot be used rarer each time."""
        heartbeat = self._failure.heartbeat
        if not self.refused:
            return heartbeat
        longest = max(LONGEST_PROBE_SECONDS, heartbeat)
        return min(delay(max(self._refusals, 1), self._host) * heartbeat, longest)
