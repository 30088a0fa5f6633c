"""A description as text: a field a line, lists below their name, nothing cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rota.report.event_lines import event_line
from rota.report.text import one_line

Row = Mapping[str, Any]
_WIDTH = 12


def description_text(document: Row) -> str:
    """What `rota describe` prints."""
    lines = [document["object"], *_facts(document)]
    for title, rows in _lists(document):
        if rows:
            lines += [f"{title}:", *(f"  {row}" for row in rows)]
    return "\n".join(one_line(line) for line in lines)


def _facts(document: Row) -> Iterator[str]:
    kind = str(document["object"]).partition(" ")[0]
    if kind == "Host":
        state = ": ".join(text for text in (document["state"], document["detail"]) if text)
        yield _fact("State", state)
        yield _fact("Endpoint", document["endpoint"])
        yield _fact("Cordoned", document["cordoned"])
        yield _fact("Drain", document["drain"])
        engine = document["engine"]
        yield _fact("Engine", f"{engine['version']}, API {engine['apiVersion']}" if engine else "not known")
        requested, capacity = document["requested"], document["capacity"] or {}
        yield _fact(
            "Room", ", ".join(f"{key} {requested[key]}/{capacity.get(key, '?')}" for key in requested)
        )
    elif kind == "Fleet":
        yield _fact("Health", document["health"])
        source = document["source"]
        yield _fact("Applied", source["applied"] or "none")
        if source["attempted"] != source["applied"]:
            yield _fact("Attempted", source["attempted"] or "the folder as it stands")
    else:
        yield _fact("Health", ": ".join(text for text in (document["health"], document["reason"]) if text))
        yield _fact("Ready", f"{document['ready']} of {document['desired']}, by {document['rule'] or '?'}")
        yield _fact("Revision", document["revision"] or "none runs")
        yield _fact("Runs image", document["image"])
        for key, value in (document["spec"] or {}).items():
            yield _fact(key[:1].upper() + key[1:], _shown(value))


def _lists(document: Row) -> Iterator[tuple[str, list[str]]]:
    yield "Conditions", [_condition(one) for one in document["conditions"]]
    if rollout := document.get("rollout"):
        yield "Rollout", [f"{key}: {_shown(value)}" for key, value in rollout.items() if value != ""]
    if failed := document.get("failed"):
        yield "Failed", [f"{key}: {_shown(value)}" for key, value in failed.items() if key != "workload"]
    for title, key in (("Hosts in trouble", "hosts"), ("Workloads in trouble", "workloads")):
        yield title, [_trouble(one) for one in document.get(key, ())]
    silent = document.get("state", "reachable") != "reachable"
    title = "Instances, as they were seen last" if silent else "Instances"
    yield title, [_instance(one) for one in document.get("instances", ())]
    yield "Last lines of its log", [f"| {line}" for line in document.get("log", ())]
    yield "Not ours", [f"{one['name']}: {one['reason']}" for one in document.get("foreign", ())]
    yield "To change", [_change(one) for one in document.get("changes", ())]
    for one in document.get("unplaced", ()):
        yield (
            f"No place for {one['count']}",
            [f"{', '.join(why['hosts']) or 'everywhere'}: {why['detail']}" for why in one["reasons"]],
        )
    problems = document.get("problems", ())
    yield "Problems", [f"{one['path']}:{one['line']}:{one['column']}: {one['message']}" for one in problems]
    yield "Last events", [event_line(one) for one in document["events"]]


def _fact(name: str, value: object) -> str:
    return f"  {f'{name}:':<{_WIDTH + 3}} {value or '-'}"


def _shown(value: object) -> str:
    """A value in a line: mappings and lists by their parts."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _condition(one: Row) -> str:
    return f"{one['type']}: {one['status']} ({one['reason']}) {one['message']}".rstrip()


def _trouble(one: Row) -> str:
    if "namespace" in one:
        counts = f"{one['health']} {one['ready']}/{one['desired']}"
        return f"{one['namespace']}/{one['name']} {counts}: {one['reason']}"
    return f"{one['name']} {one['state']}: {one['detail']}"


def _instance(one: Row) -> str:
    ports = ", ".join(f"{port['published']}->{port['target']}" for port in one["ports"])
    health = "" if one["health"] == "none" else f", {one['health']}"
    silent = one.get("seenLast")
    place = f"{one['host']}, which is {silent}, seen last" if silent else one["host"]
    return (
        f"{one['workload']}/{one['slot']} on {place}: {one['state']}{health}"
        f"{', ready' if one['ready'] else ', not ready'}{f', ports {ports}' if ports else ''}"
        f", commit {one['revision'][:7]}, {one['name']}"
    )


def _change(one: Row) -> str:
    where = " -> ".join(place for place in (one["from"], one["host"]) if place)
    waits = f"; waits: {one['waits']}" if one["waits"] else ""
    return f"{one['change']} {one['slot']}{f' {where}' if where else ''} ({one['cause']}){waits}"
