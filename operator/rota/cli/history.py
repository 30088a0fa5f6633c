"""`rota history`: deployed revisions, newest first, from the history of the status branch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from rota.cli.read import reading
from rota.cli.subject import workload_named
from rota.cli.tables import table
from rota.cli.workspace import Place, repository_options
from rota.errors import Fatal, Stalled
from rota.gitrepo.history import LocalHistory
from rota.gitrepo.objects import Commit, is_commit_id
from rota.report.deployments import (
    Deployment,
    StatusCommit,
    deployments,
    history_document,
    of_workload,
    with_failures,
)
from rota.report.documents import LEDGER_PATH

MOST_COMMITS = 20_000
"""Status commits that are read, by one command: weeks of a fleet that is never at rest."""
MOST_DEPLOYMENTS = 200
"""Deployments that are looked into for one service; each costs reading a file."""


@click.command()
@click.argument("service", required=False, metavar="[SERVICE]")
@repository_options
@click.option("-n", "--lines", type=click.IntRange(1, MOST_DEPLOYMENTS), default=20, show_default=True)
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def history(place: Place, service: str | None, lines: int, output: str) -> None:
    """Which commits were deployed, when, and what came of them; of SERVICE, those that changed its spec.

    Reads the history of the status branch: what is not in this clone is not told.
    """
    if "://" in place.repo:
        raise Fatal(
            "history is read from a clone: git clone the repository, and name its folder with --repo."
        )
    if not Path(place.repo).is_dir():
        raise Fatal(f"{place.repo} is not a folder. Name one with --repo.")
    past = LocalHistory(Path(place.repo))
    newest = _newest(past, place.status_branch)
    with reading("the history"):
        found = list(islice(_deployments(past, newest, service), lines))
    if output == "json":
        click.echo(json.dumps(history_document(found), indent=2, sort_keys=True))
    elif found:
        click.echo(table(("BEGUN", "READY", "COMMIT", "SUBJECT", "VERDICT"), [_cells(one) for one in found]))
    if past.is_shallow():
        click.echo("this clone is shallow, and so may its history be: git fetch --unshallow", err=True)


def _newest(past: LocalHistory, branch: str) -> str:
    for ref in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        try:
            return past.resolve(ref)
        except Stalled:
            continue
    raise Stalled(
        "NoStatusBranch",
        f"there is no status branch {branch} here, so nothing is known to have been deployed. Fetch it: "
        f"git fetch origin {branch}:refs/remotes/origin/{branch}",
    )


def _deployments(past: LocalHistory, newest: str, service: str | None) -> Iterator[Deployment]:
    def read(commit: str, path: str) -> bytes | None:
        tree = past.checkout(commit)
        entries = [one for one in tree.entries if one.path == path]
        return tree.read(entries)[entries[0].blob_id] if entries else None

    workload = None
    if service is not None:
        status = json.loads(read(newest, "status.json") or b"{}")
        known = (f"{one['namespace']}/{one['name']}" for one in status["workloads"])
        workload = workload_named(service, None, known)
    found = deployments(map(_status_commit, past.commits(newest, MOST_COMMITS)))
    if workload is not None:
        found = of_workload(islice(found, MOST_DEPLOYMENTS), workload, read)
    for one in found:
        judged = with_failures(one, read(one.last, LEDGER_PATH), workload)
        source = past.commit(one.revision) if is_commit_id(one.revision) else None
        yield replace(judged, title=_title(source))


def _status_commit(commit: Commit) -> StatusCommit:
    revision = commit.trailer("Source-Commit") or ""
    return StatusCommit(
        id=commit.id,
        at=commit.committed_at,
        revision="" if revision == "none" else revision,
        subject=commit.message.partition("\n")[0],
    )


def _title(source: Commit | None) -> str:
    return source.message.partition("\n")[0] if source is not None else ""


def _cells(one: Deployment) -> tuple[str, ...]:
    ready = f"{one.ready:%Y-%m-%d %H:%M:%S%z}" if one.ready is not None else "-"
    verdict = one.verdict if one.verdict != "under way" else f"under way: {one.said}"
    if one.why:
        verdict += f" ({one.why})"
    title = one.title or "(not in this clone)"
    return (f"{one.begun:%Y-%m-%d %H:%M:%S%z}", ready, one.revision[:7], title, verdict)
