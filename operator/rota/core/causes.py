"""What kind of cause a cause is: one word that programs can count, from the sentence that people read."""

from __future__ import annotations

import re

_KINDS: tuple[tuple[str, str], ...] = (
    ("duplicate", r"duplicate of "),
    ("rollback", r"roll(ed|s|ing)? ?back|goes? back to|returns? to "),
    ("host-lost", r"\b(is|was) lost\b|does not answer"),
    ("drain", r"\bdrain|left the fleet"),
    ("override", r"\boverride "),
    ("edge", r"(ahead of )?window \S+(: fills.*)?$"),
    ("room", r"makes room for |fills what is left over|others that fill"),
    ("health", r"unhealthy|not (become )?healthy|could not be started|could not remove it"),
    ("health", r"\bdied\b|\bdies\b|exited|crash|\bdead\b|restarted \d"),
    ("drift", r"an instance is missing|more run than are wanted|by hand|does not run|changed"),
    ("rollout", r"replaced by |canar"),
    ("commit", r"commit [0-9a-f]+|the working tree|replicas$"),
    ("placement", r"\bspread|\btaint |\blabel |its volumes are on|uneven|\bzone\b"),
)
"""Word and what sentences of it look like; the first that matches. What moves away for its host comes before
what a commit says, since a commit says that too."""

_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
OTHER = "other"


def cause_kind(cause: str) -> str:
    """The word for `cause`, empty for none, `other` for a sentence that is not known here."""
    if not cause:
        return ""
    return next((kind for kind, pattern in _COMPILED if pattern.search(cause)), OTHER)
