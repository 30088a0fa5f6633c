"""`rota validate`: every problem of a commit or a folder, with its place and its mend."""

from __future__ import annotations

import json
from dataclasses import replace

import click

from rota.cli.main import NO
from rota.cli.workspace import Place, instant, load, tree_options, workspace
from rota.manifest.checks import dated_findings
from rota.manifest.problem import Problem


@click.command()
@click.argument("folder", required=False)
@tree_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--now", metavar="TIME", help="Judge what depends on the date as of then.")
def validate(place: Place, folder: str | None, form: str, now: str | None) -> None:
    """Check the manifests under FOLDER (default: the repository): YAML, schema, references, windows."""
    with workspace(replace(place, repo=folder or place.repo)) as work:
        loaded = load(work.tree(place.rev), place.path)
        problems = list(loaded.problems)
        if loaded.fleet is not None:
            problems += dated_findings(loaded.fleet, instant(now))
    if form == "json":
        rows = [_row(problem) for problem in problems]
        document = {"apiVersion": "rota/v1", "valid": loaded.fleet is not None, "problems": rows}
        click.echo(json.dumps(document, indent=2, sort_keys=True))
    else:
        _show(problems, len(loaded.documents), valid=loaded.fleet is not None)
    # A valid commit may still break a quota within the year: no reason to refuse it, but one to ask again.
    if _errors(problems):
        raise click.exceptions.Exit(NO)


def _errors(problems: list[Problem]) -> int:
    return sum(problem.severity == "error" for problem in problems)


def _show(problems: list[Problem], documents: int, *, valid: bool) -> None:
    for problem in problems:
        click.echo(str(problem) if problem.severity == "error" else f"{problem} (warning)")
    errors = _errors(problems)
    told = f"{errors} problem{'s'[: errors != 1]}"
    count = "1 manifest is" if documents == 1 else f"{documents} manifests are"
    if not valid:
        click.echo(f"{told}: nothing of this would be applied.", err=True)
    elif errors:
        click.echo(f"{count} valid and would be applied, with {told} in the coming year.", err=True)
    else:
        click.echo(f"{count} valid. See what they do: rota plan", err=True)


def _row(problem: Problem) -> dict[str, object]:
    return {
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "pointer": problem.pointer,
        "message": problem.message,
        "mend": problem.mend,
        "severity": problem.severity,
    }
