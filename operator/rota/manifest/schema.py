"""The JSON Schemas: a fast gate that says yes, and words for the documents that it refuses.

jsonschema-rs judges every document. Only for the few that fail, `jsonschema` finds all errors, and
`wording` puts them into sentences. Both see our own schemas alone and fetch nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, Protocol

import jsonschema_rs

from rota.errors import Fatal
from rota.manifest.problem import MAX_PROBLEMS, Problem, sort_key
from rota.manifest.wording import Finding, SchemaError, may_be_unusual, sentences, unusual_numbers
from rota.manifest.yaml import ParsedDocument

KINDS: Final = ("Fleet", "Host", "Service", "CapacityPolicy", "Quota", "Override")
_COMMON: Final = "common"


class _AllErrors(Protocol):
    """A validator of `jsonschema`, which ships no types."""

    def iter_errors(self, instance: object) -> Iterator[SchemaError]: ...


@cache
def schema_directory() -> Path:
    """Where the schemas lie: inside an installed package, or beside the sources. Raises Fatal."""
    package = Path(__file__).resolve().parent.parent
    for directory in (package / "schemas", package.parent.parent / "schemas"):
        if (directory / "manifest.json").is_file():
            return directory
    raise Fatal(f"no JSON Schemas beside {package}: the installation is broken; install rota again")


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema of a kind, or `common` or `manifest`, as its file states it. Raises Fatal."""
    path = schema_directory() / f"{name.lower()}.json"
    try:
        loaded: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise Fatal(f"the schema {path} cannot be read: install rota again") from error
    return loaded


def violations(kind: str, document: ParsedDocument) -> tuple[Problem, ...]:
    """What keeps a document from being of `kind`, one of KINDS; at most 50 problems."""
    if _gate(kind).is_valid(document.root) and all(map(may_be_unusual, document.unusual)):
        return ()
    worded = chain.from_iterable(sentences(error) for error in _words(kind).iter_errors(document.root))
    findings = dict.fromkeys(islice(worded, MAX_PROBLEMS))
    told = {finding.pointer for finding in findings}
    findings.update(dict.fromkeys(unusual_numbers(document.unusual, told)))
    if not findings and not _gate(kind).is_valid(document.root):
        findings[Finding((), f"the document is not a {kind} as its schema states it")] = None
    problems = (
        document.problem(finding.pointer, finding.message, finding.mend, at_key=finding.at_key)
        for finding in findings
    )
    return tuple(sorted(problems, key=sort_key)[:MAX_PROBLEMS])


@cache
def _gate(kind: str) -> jsonschema_rs.Draft202012Validator:
    common = schema(_COMMON)
    registry = jsonschema_rs.Registry([(common["$id"], common)])
    return jsonschema_rs.Draft202012Validator(schema(kind), registry=registry, offline=True)


@cache
def _words(kind: str) -> _AllErrors:
    # Imported here because it takes longer than loading a sound repository.
    from jsonschema import Draft202012Validator, ValidationError, validators  # type: ignore[import-untyped] # noqa: PLC0415
    from referencing import Registry, Resource  # noqa: PLC0415

    def pattern(
        _validator: object, expression: str, instance: object, _schema: object
    ) -> Iterator[SchemaError]:
        # Python's `$` also matches before a last newline, through which "web\n" would slip.
        if isinstance(instance, str) and not re.fullmatch(expression, instance):
            yield ValidationError("pattern")

    strict = validators.extend(Draft202012Validator, {"pattern": pattern})
    registry: Registry[Any] = Resource.from_contents(schema(_COMMON)) @ Registry()
    words: _AllErrors = strict(schema(kind), registry=registry)
    return words
