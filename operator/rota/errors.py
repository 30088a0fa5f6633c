"""Errors by consequence: what the loop must do, not where they arose.

    RotaError                 a sentence for a person; never a traceback
    ├── Retryable(after)      passing: try again after `after` seconds (None: with the usual back-off)
    ├── Stalled(reason)       nothing changes until the input does: a commit, a setting, a right
    └── Fatal                 the command or the daemon cannot go on

Expected outcomes are values; a bug is an assertion. A message says what, where, why and what to do,
adds context and never repeats its source; the source is chained with `from`.
"""

from __future__ import annotations


class RotaError(Exception):
    """The root: everything Rota raises on purpose."""


class Retryable(RotaError):
    """A failure that may pass by itself. `after` is seconds until the next try, None for back-off."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Stalled(RotaError):
    """A failure that lasts until the input changes. `reason` is a CamelCase word for conditions."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Fatal(RotaError):
    """Nothing can be done: unusable settings, a broken installation."""
