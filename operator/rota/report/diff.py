"""What differs between the manifests of two revisions: generic over fields, so that none is forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rota.manifest.document import Document
from rota.manifest.problem import dotted
from rota.manifest.wording import is_extension
from rota.report.plan import ObjectDiff

_NEEDS_NEW_CONTAINER = (("spec", "container"), ("spec", "resources"))
_ENVIRONMENT = ("spec", "container", "environment")
_ABSENT = object()


def compare(base: Iterable[Document], head: Iterable[Document]) -> tuple[ObjectDiff, ...]:
    """Every object that was added, removed or changed, by kind and name."""
    before = {(one.kind, _name(one)): one for one in base}
    after = {(one.kind, _name(one)): one for one in head}
    diffs = []
    for key in sorted(before.keys() | after.keys()):
        kind, name = key
        if key not in before:
            diffs.append(ObjectDiff(change="+", kind=kind, name=name, fields=()))
        elif key not in after:
            diffs.append(ObjectDiff(change="-", kind=kind, name=name, fields=()))
        else:
            fields = tuple(_fields(before[key].raw, after[key].raw))
            if fields:
                diffs.append(ObjectDiff(change="~", kind=kind, name=name, fields=fields))
    return tuple(diffs)


def _name(document: Document) -> str:
    return f"{document.namespace}/{document.name}" if document.namespace else document.name


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A line per leaf that differs, paths below `spec` without the word."""
    old, new = dict(_leaves(before, ())), dict(_leaves(after, ()))
    for path in sorted(old.keys() | new.keys()):
        was, is_now = old.get(path, _ABSENT), new.get(path, _ABSENT)
        if was == is_now and type(was) is type(is_now):
            continue
        name = dotted(path[1:] if path[0] == "spec" else path)
        note = "   # replaces" if path[:2] in _NEEDS_NEW_CONTAINER and not is_extension(path) else ""
        if was is _ABSENT:
            yield f"+ {name}: {_shown(path, is_now)}{note}"
        elif is_now is _ABSENT:
            yield f"- {name}: {_shown(path, was)}{note}"
        elif _is_secret(path):
            yield f"~ {name}: (changed){note}"
        else:
            yield f"~ {name}: {_shown(path, was)} -> {_shown(path, is_now)}{note}"


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Mappings are walked; lists of named things by their names; everything else is a leaf."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif _is_list_of_named(value):
        for one in value:
            yield from _leaves(
                {key: inner for key, inner in one.items() if key != "name"}, (*path, one["name"])
            )
    else:
        yield path, value


def _is_list_of_named(value: Any) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    if not all(_is_named(one) for one in value):
        return False
    return len({one["name"] for one in value}) == len(value)


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("name"), str) and len(value) > 1


def _is_secret(path: tuple[str, ...]) -> bool:
    """Whether values at `path` may be secrets: the environment, and `x-` keys, where its anchors may lie."""
    return path[:3] == _ENVIRONMENT or is_extension(path)


def _shown(path: tuple[str, ...], value: Any) -> str:
    return "(set)" if _is_secret(path) else json.dumps(value, ensure_ascii=False, sort_keys=True)
