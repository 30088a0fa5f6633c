"""`rota get` and `rota status`: the status branch as tables, without a daemon and without hosts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import click

from rota.cli.main import NO
from rota.cli.tables import table
from rota.cli.workspace import (
    Place,
    Workspace,
    decided,
    instant,
    load_fleet,
    observation,
    repository_options,
    workspace,
)
from rota.core.observed import HostState, ObservedState
from rota.core.status import Condition, SourceStatus, summarise
from rota.report.documents import documents
from rota.report.restore import DAMAGE, damaged
from rota.report.text import one_line, survives

Row = Mapping[str, Any]
_KINDS = {"host": "hosts", "workload": "workloads", "service": "workloads", "instance": "instances"}
_EDGES = 6
"""So many of the latest edges are shown by `rota status`."""
_HEADERS: dict[str, tuple[str, ...]] = {
    "hosts": ("NAME", "STATE", "INSTANCES", "CPU", "MEMORY", "WHY"),
    "workloads": ("NAMESPACE", "NAME", "HEALTH", "READY", "REVISION", "WHY"),
    "instances": ("WORKLOAD", "SLOT", "HOST", "STATE", "HEALTH", "PORTS", "NAME"),
}


@click.command()
@click.argument("kind")
@click.argument("name", required=False)
@repository_options
@click.option("-n", "--namespace", metavar="NAMESPACE", help="Only of this namespace; hosts have none.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "name"]),
    default="table",
    show_default=True,
)
@click.option("--no-headers", is_flag=True, help="Leave the first line of a table out.")
def get(
    place: Place, kind: str, name: str | None, namespace: str | None, output: str, no_headers: bool
) -> None:
    """List hosts, workloads or instances, as the status branch has them."""
    what = _KINDS.get(kind.lower().removesuffix("s"))
    if what is None:
        raise click.UsageError(f"unknown kind {kind!r}: it is hosts, workloads (or services), or instances.")
    files = status_files(place)
    rows = [row for row in rows_of(what, files) if _matches(row, what, name, namespace)]
    if not rows:
        _say_none(what, name, namespace)
    with reading("status.json"):
        text = _listed(rows, what, output, headers=not no_headers)
    if text:
        click.echo(text)
    if name is not None and not rows:
        raise click.exceptions.Exit(NO)


def _say_none(what: str, name: str | None, namespace: str | None) -> None:
    named = f" {name}" if name is not None else ""
    within = f" in namespace {namespace}" if namespace is not None and what != "hosts" else ""
    one = what.removesuffix("s") if named else what
    found = f"there is no {one}{named}{within}" if named else f"there are no {what}{within}"
    click.echo(f"{found}. See what there is: rota get {what}", err=True)


def _listed(rows: list[dict[str, Any]], what: str, output: str, *, headers: bool) -> str:
    document = {"apiVersion": "rota/v1", "kind": "List", "items": rows}
    if output == "json":
        return json.dumps(document, indent=2, sort_keys=True)
    if output == "yaml":
        import yaml  # noqa: PLC0415 - only where it is asked for

        return str(yaml.safe_dump(document)).rstrip("\n")
    if output == "name":
        return "\n".join(_name(row, what) for row in rows)
    return table(_HEADERS[what], [_CELLS[what](row) for row in rows], headers=headers) if rows else ""


@click.command()
@repository_options
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def status(place: Place, output: str) -> None:
    """One screen: the verdict, windows, workloads and hosts. Exit 1 if anything is not Ready."""
    files = status_files(place)
    with reading("status.json"):
        document = json.loads(files["status.json"])
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in document["conditions"])
        text = files["status.json"].decode().rstrip("\n") if output == "json" else _screen(document, files)
    click.echo(text)
    if not ready:
        raise click.exceptions.Exit(NO)


@contextmanager
def reading(path: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise damaged(path, error) from error


def _screen(document: Row, files: Mapping[str, bytes]) -> str:
    lines = [
        f"{one['type']}: {one['status']} ({one['reason']}) {one['message']}".rstrip()
        for one in document["conditions"]
    ]
    source = document["source"]
    lines.append(f"Applied: {source['applied'] or 'none'}")
    if source["attempted"] != source["applied"]:
        lines.append(f"Attempted: {source['attempted'] or 'the folder as it stands'}")
    for one in document["windows"]:
        then = f", then {one['next']} at {one['nextEdge']}" if one["nextEdge"] else ""
        lines.append(f"Window: {one['policy']} {one['window']}{then}")
    lines += [
        f"{one['path']}:{one['line']}:{one['column']}: {one['message']}" for one in document["problems"]
    ]
    lines += [f"Edge {_day(one['at'])}: {one['text']}" for one in document.get("edges", ())[-_EDGES:]]
    if survival := document.get("survives"):  # what an older Rota wrote does not say
        lines += survives(survival["loss"], survival["shortfalls"])
    tables = [
        table(_HEADERS[what], [_CELLS[what](row) for row in rows_of(what, files)])
        for what in ("workloads", "hosts")
    ]
    return "\n\n".join(["\n".join(one_line(line) for line in lines), *tables])


def _day(at: str) -> str:
    """`Mon 2026-06-01` of an instant as the status branch writes it."""
    return f"{datetime.fromisoformat(at):%a %Y-%m-%d}"


def status_files(place: Place) -> Mapping[str, bytes]:
    """The files of the status branch; without one, what they would be with nothing running."""
    with workspace(place) as work:
        found = work.status()
        if found is not None:
            return found.files
        files = _declared(work, place)
    click.echo(
        f"there is no status branch {place.status_branch} yet; this is what the manifests declare", err=True
    )
    return files


def _declared(work: Workspace, place: Place) -> Mapping[str, bytes]:
    """The files as an operator that has seen no host would write them: nothing applied, no host known."""
    fleet, _ = load_fleet(work.tree(place.rev), place.path)
    observed, ledger = observation(None, fleet)
    decision = decided(fleet, observed, ledger, instant(None))
    unseen = {
        name: replace(view, state=HostState.UNKNOWN, detail="declared by its manifest, not looked at yet")
        for name, view in observed.hosts.items()
    }
    made = summarise(
        fleet, ObservedState(hosts=unseen), decision, SourceStatus(attempted=fleet.revision), ledger
    )
    ready = Condition(
        type="Ready",
        status="Unknown",
        reason="NoStatusBranch",
        message=f"no operator has written {place.status_branch} yet",
    )
    return documents(replace(made, conditions=(ready,)), ())


def rows_of(what: str, files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """What `rota get` lists, as the documents have it; a host with why nothing new is placed on it."""
    with reading("status.json"):
        document = json.loads(files["status.json"])
        if what == "workloads":
            return list(document["workloads"])
        rows = {row["name"]: row for row in document["hosts"]}
    hosts = []
    for path, content in sorted(files.items()):
        if path.startswith("hosts/") and path.endswith(".json"):
            with reading(path):
                host = json.loads(content)
                hosts.append({"name": host["name"], "cordoned": host["cordoned"], **host})
    if what == "hosts":
        cordons = {host["name"]: host["cordoned"] for host in hosts}
        return [{**row, "cordoned": cordons.get(name, "")} for name, row in rows.items()]
    with reading("hosts/"):
        instances = [{"host": host["name"], **one} for host in hosts for one in host["instances"]]
        return sorted(instances, key=lambda one: (one["workload"], one["slot"], one["name"]))


def _matches(row: Row, what: str, name: str | None, namespace: str | None) -> bool:
    where = row["workload"].partition("/")[0] if what == "instances" else row.get("namespace")
    if namespace is not None and what != "hosts" and where != namespace:
        return False
    return name is None or name in _names(row, what)


def _names(row: Row, what: str) -> tuple[str, ...]:
    if what == "workloads":
        return (row["name"], f"{row['namespace']}/{row['name']}")
    if what == "instances":
        return (row["name"], row["workload"], row["workload"].partition("/")[2])
    return (row["name"],)


def _name(row: Row, what: str) -> str:
    return f"{row['namespace']}/{row['name']}" if what == "workloads" else str(row["name"])


def _host_cells(row: Row) -> tuple[str, ...]:
    requested, capacity = row["requested"], row["capacity"] or {"cpu": "?", "memory": "?"}
    return (
        row["name"],
        row["state"],
        str(row["instances"]),
        f"{requested['cpu']}/{capacity['cpu']}",
        f"{requested['memory']}/{capacity['memory']}",
        "; ".join(text for text in (row["detail"], row["cordoned"]) if text),
    )


def _workload_cells(row: Row) -> tuple[str, ...]:
    ready = f"{row['ready']}/{row['desired']}"
    return (row["namespace"], row["name"], row["health"], ready, row["revision"][:7], row["reason"])


def _instance_cells(row: Row) -> tuple[str, ...]:
    ports = ",".join(f"{port['published']}->{port['target']}" for port in row["ports"])
    return (row["workload"], str(row["slot"]), row["host"], row["state"], row["health"], ports, row["name"])


_CELLS: dict[str, Callable[[Row], tuple[str, ...]]] = {
    "hosts": _host_cells,
    "workloads": _workload_cells,
    "instances": _instance_cells,
}
