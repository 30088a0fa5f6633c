"""What a verb is asked about: `service/shop/web`, `host/h1`, `fleet`, or a name that only one thing has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import click

from rota.cli.main import NO
from rota.manifest.problem import did_you_mean

FLEET = "fleet"
WORKLOAD = "workload"
HOST = "host"
_KINDS = {"service": WORKLOAD, "workload": WORKLOAD, "host": HOST}


class Subject(NamedTuple):
    """`kind` is fleet, workload or host; `name` is `namespace/name` of a workload."""

    kind: str
    name: str = ""

    def concerns(self, event: Mapping[str, Any]) -> bool:
        """Whether an event is about it; one of an instance is about its host too."""
        kind, _, name = str(event["object"]).partition(" ")
        match self.kind:
            case "fleet":
                return kind == "Fleet"
            case "host":
                return (kind == "Host" and name == self.name) or event.get("host") == self.name
            case _:
                return kind not in ("Fleet", "Host") and name == self.name


def subject_of(text: str, status: Mapping[str, Any]) -> Subject:
    """What `text` names among what `status`, a status.json, has. Exit 1 where there is none."""
    if text.lower() == FLEET:
        return Subject(FLEET)
    workloads = [f"{one['namespace']}/{one['name']}" for one in status["workloads"]]
    hosts = [str(one["name"]) for one in status["hosts"]]
    kind, slash, rest = text.partition("/")
    stated = _KINDS.get(kind.lower()) if slash else None
    name = rest if stated is not None else text
    found = [Subject(WORKLOAD, one) for one in workloads if stated != HOST and _names(one, name)]
    found += [Subject(HOST, one) for one in hosts if stated != WORKLOAD and one == name]
    if len(found) == 1:
        return found[0]
    if found:
        which = " or ".join(f"{one.kind}/{one.name}" for one in found)
        raise click.UsageError(f"{text} is the name of several things: name {which}.")
    click.echo(f"there is no {text}. {_hint(name, workloads, hosts)}", err=True)
    raise click.exceptions.Exit(NO)


def workload_named(text: str, namespace: str | None, known: Iterable[str]) -> str:
    """The one of `known`, as `namespace/name`, that `text` names. Exit 1 where there is none."""
    known = sorted(known)
    name = f"{namespace}/{text}" if namespace is not None and "/" not in text else text
    found = [one for one in known if _names(one, name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise click.UsageError(f"{text} is in several namespaces: name {' or '.join(found)}.")
    click.echo(f"there is no workload {name}. {_hint(name, known, ())}", err=True)
    raise click.exceptions.Exit(NO)


def _names(workload: str, text: str) -> bool:
    return text in (workload, workload.partition("/")[2])


def _hint(text: str, workloads: Iterable[str], hosts: Iterable[str]) -> str:
    full = "/" in text
    shown = [one if full else one.partition("/")[2] for one in workloads]
    see = "See what there is: rota get workloads, rota get hosts"
    return f"{did_you_mean(text, [*shown, *hosts])} {see}".strip()
