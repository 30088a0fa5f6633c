"""What containers write is shown to people, and may hold secrets: those that can be told are masked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "***"
_SECRET_NAME = re.compile(r"pass|secret|token|key|credential|auth|cookie|session|dsn|private", re.IGNORECASE)
_SHORTEST_SECRET = 4
_NAMED = re.compile(
    r"(?i)\b([\w.-]*(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|credentials?|authorization))"
    r"(\"?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|(?:bearer|basic)\s+\S+|[^\s,;&]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/_.~-]{8,}=*")
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
_KNOWN_FORMS = re.compile(
    r"\b(?:gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abpr]-[\w-]{10,}|AKIA[0-9A-Z]{16}"
    r"|sk_live_\w{16,}|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)"
)


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """What an environment holds that is secret: values whose names say so, and passwords in URLs."""
    named = {value for name, value in environment.items() if _SECRET_NAME.search(name)}
    named |= {found[1] for value in environment.values() if (found := _URL_PASSWORD.search(value))}
    return frozenset(value for value in named if len(value) >= _SHORTEST_SECRET)


def is_secret(name: str, value: str) -> bool:
    """Whether the value of an environment variable is one, by its name or its form."""
    return bool(_SECRET_NAME.search(name)) or _line(value, ()) != value


def redact(lines: Iterable[str], secrets: Iterable[str] = ()) -> tuple[str, ...]:
    """`lines` without `secrets`, without what stands behind names like `password=`, and without passwords in
    URLs and tokens of well-known forms."""
    longest_first = sorted(secrets, key=len, reverse=True)
    return tuple(_line(line, longest_first) for line in lines)


def _line(line: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        line = line.replace(secret, MASK)
    line = _IN_URL.sub(rf"\1{MASK}@", line)
    line = _KNOWN_FORMS.sub(MASK, line)
    line = _NAMED.sub(rf"\1\2{MASK}", line)
    return _BEARER.sub(rf"\1 {MASK}", line)
