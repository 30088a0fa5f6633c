"""Which revisions were deployed, and what came of each: from the commits of the status branch.

A status commit names the revision that it observed. All that name one revision in a row are its deployment:
it was applied if one of them says Ready, and superseded if a newer one came before that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from rota.core.quantities import format_time
from rota.report.documents import API_VERSION, LEDGER_PATH

APPLIED, FAILED, SUPERSEDED, UNDER_WAY = "applied", "failed", "superseded", "under way"
_READY = ("Ready: ", "Ready, but ")
"""How the subject of a status commit begins while all that is wanted is there."""
_WITHHELD = "PruneBlocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusCommit:
    """One commit of the status branch: when, which revision it observed, and its subject."""

    id: str
    at: datetime
    revision: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One revision: first and last told of at `begun` and `ended`, Ready first at `ready`, if ever.

    `last` is the last status commit that observed it, `said` its subject; `title` the subject of the
    revision itself, empty where it is not known; `why` says what failed, or was withheld.
    """

    revision: str
    begun: datetime
    ended: datetime
    last: str
    said: str
    ready: datetime | None = None
    verdict: str = UNDER_WAY
    why: str = ""
    title: str = ""


def deployments(commits: Iterable[StatusCommit]) -> Iterator[Deployment]:
    """The deployments, newest first, of status commits, newest first."""
    one: Deployment | None = None
    newest = True
    for commit in commits:
        if not commit.revision:
            continue
        if one is not None and one.revision != commit.revision:
            yield _judged(one, newest)
            newest, one = False, None
        if one is None:
            one = Deployment(
                revision=commit.revision,
                begun=commit.at,
                ended=commit.at,
                last=commit.id,
                said=commit.subject,
            )
        ready = commit.at if commit.subject.startswith(_READY) else one.ready
        one = replace(one, begun=commit.at, ready=ready)
    if one is not None:
        yield _judged(one, newest)


def _judged(one: Deployment, newest: bool) -> Deployment:
    if one.ready is not None:
        return replace(one, verdict=APPLIED, why=_WITHHELD if _WITHHELD in one.said else "")
    return one if newest else replace(one, verdict=SUPERSEDED)


def with_failures(one: Deployment, ledger: bytes | None, workload: str | None = None) -> Deployment:
    """`one` as failed where the ledger of its last status commit says so, of `workload` or of any."""
    rows = json.loads(ledger).get("failed", []) if ledger else []
    failures = [
        f"{row['workload']}: {'RolledBack' if row['reverts'] else 'Failed'}: {row['reason']}"
        for row in rows
        if row["revision"] == one.revision and workload in (None, row["workload"])
    ]
    return replace(one, verdict=FAILED, why="; ".join(failures)) if failures else one


def of_workload(
    found: Iterable[Deployment], workload: str, read: Callable[[str, str], bytes | None]
) -> Iterator[Deployment]:
    """Those that brought `workload` another spec than the one before, or that failed to, after which the
    spec before holds; `read` gives a file of a commit."""
    newer: tuple[Deployment, str] | None = None
    for one in found:
        content = read(one.last, f"workloads/{workload}.json")
        spec = str(json.loads(content)["spec"]) if content is not None else ""
        if newer is not None and (newer[1] not in ("", spec) or _failed_with(newer[0], workload, read)):
            yield newer[0]
        newer = (one, spec)
    if newer is not None and newer[1]:
        yield newer[0]


def _failed_with(one: Deployment, workload: str, read: Callable[[str, str], bytes | None]) -> bool:
    return with_failures(one, read(one.last, LEDGER_PATH), workload).verdict == FAILED


def history_document(found: Iterable[Deployment]) -> Mapping[str, Any]:
    """What `rota history -o json` prints."""
    return {
        "apiVersion": API_VERSION,
        "kind": "History",
        "items": [
            {
                "revision": one.revision,
                "subject": one.title,
                "begun": format_time(one.begun),
                "ready": None if one.ready is None else format_time(one.ready),
                "ended": format_time(one.ended),
                "verdict": one.verdict,
                "why": one.why,
                "said": one.said,
            }
            for one in found
        ],
    }
