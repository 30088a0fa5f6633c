"""The schemas as files, and that the gate, the words and the editors' schema agree."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from rota.manifest.problem import Position
from rota.manifest.schema import KINDS, schema, schema_directory, violations
from rota.manifest.yaml import ParsedDocument, parse
from tests.manifest.trees import EXAMPLE, FLEET, HOST, OVERRIDE, POLICY, QUOTA, REPOSITORY, SERVICE, edited

NAMES = (*KINDS, "common", "manifest")
SOUND = {
    document.root["kind"]: document
    for text in (FLEET, HOST, SERVICE, POLICY, QUOTA, OVERRIDE)
    for document in parse("x.yaml", text.encode()).documents
}
HOURS = 'days: [mon, tue], start: "07:00", end: "20:00"'
NEAR = """\
  placement:
    spread: [{key: zone, maxSkew: 2, whenUnsatisfiable: DoNotSchedule}]
    affinity: [{service: a, scope: zone}]
    antiAffinity: [{service: b, required: true}]
    tolerations: [{key: a, effect: NoExecute}]
"""
HEALTH = """\
  check: {http: {port: http, path: /up}, interval: 1s, timeout: 1s, fall: 1, rise: 1}
  dependsOn: [{service: a}, {service: b}]
  update: {progressDeadline: 5m, onFailure: pause, canary: {count: 1, hold: 5m}}
  singleton: strict
"""
LOSS = "{failure: {lostAfter: 3s, engineDownAfter: 9s, brake: 30%}}"
FULL = (
    *SOUND.values(),
    *(
        document
        for text in (
            edited(FLEET, "{}", "{survive: {hosts: 1}, disruption: {maxMovesPerHour: 5}}"),
            edited(HOST, '2375"}', '2375", resources: {gpu: 1}, taints: [{key: a, effect: NoExecute}]}'),
            edited(HOST, '2375"}', '2375", cost: {perHour: 2}}'),
            edited(POLICY, HOURS, 'schedule: "0 22 * * *", duration: 8h, except: {ics: a.ics}, lead: auto'),
            edited(POLICY, HOURS, f"{HOURS}, also: {{dates: [2026-12-24], holidays: {{country: DE}}}}"),
            edited(SERVICE, "1Gi", "1Gi, gpu: 1") + NEAR,
            SERVICE + HEALTH,
            edited(FLEET, "{}", LOSS),
            edited(HOST, '2375"}', '2375", drain: {deadline: 1h}}'),
            edited(OVERRIDE, "replicas: 3", "drain: {deadline: 1h}"),
            edited(OVERRIDE, "replicas: 3", "lost: true"),
            edited(POLICY, "50%", "{fill: true, min: 1, max: 2, weight: 1}"),
            edited(QUOTA, "cpu: 24", "gpu: 1") + "  selector: {matchLabels: {a: b}}\n",
            edited(OVERRIDE, "replicas: 3", "replicas: {fill: true, max: 3}"),
        )
        for document in parse("x.yaml", text.encode()).documents
    ),
)


def subschemas(value: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping of a schema with its path."""
    if isinstance(value, dict):
        yield at, value
        for key, inner in value.items():
            yield from subschemas(inner, f"{at}/{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from subschemas(inner, f"{at}/{index}")


ALL = [(path, part) for name in NAMES for path, part in subschemas(schema(name), name)]


def test_the_directory_of_a_checkout() -> None:
    assert schema_directory() == REPOSITORY / "schemas"
    assert {path.stem for path in schema_directory().glob("*.json")} >= {name.lower() for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_schema_under_its_address(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert schema(name)["$id"] == f"https://rota.example/schema/v1/{name.lower()}.json"


def test_every_field_teaches() -> None:
    silent = [
        f"{path}/{key}"
        for path, part in ALL
        if isinstance(part.get("properties"), dict) and not path.endswith(("/if", "/properties"))
        for key, field in part["properties"].items()
        if not (field.get("title") and field.get("description", "").endswith("."))
    ]
    assert silent == []


def test_every_pattern_is_anchored_and_has_words() -> None:
    patterns = [(path, part) for path, part in ALL if isinstance(part.get("pattern"), str)]
    assert patterns
    for path, part in patterns:
        assert re.fullmatch(r"\^.*\$", part["pattern"]), path
        assert part.get("patternErrorMessage"), path


def test_every_closed_mapping_takes_extensions() -> None:
    for path, part in ALL:
        if part.get("additionalProperties") is False:
            assert list(part["patternProperties"]) == ["^x-"], path


def test_both_libraries_know_the_pattern_trap() -> None:
    # Python's `$` matches before a last newline, ECMAScript's and Rust's do not.
    trap = {"pattern": "^web$"}
    assert Draft202012Validator(trap).is_valid("web\n")
    assert not jsonschema_rs.Draft202012Validator(trap).is_valid("web\n")
    broken = document_of({**SOUND["Host"].root, "metadata": {"name": "web\n"}})
    assert [problem.pointer for problem in violations("Host", broken)] == ["metadata.name"]


def document_of(root: object) -> ParsedDocument:
    """A document whose places are those of nothing: only what is said of it counts."""
    template = SOUND["Host"]
    return ParsedDocument("x.yaml", root, Position(1, 1), (), 0, template.text)


@pytest.mark.parametrize("kind", KINDS)
def test_sound_documents_pass(kind: str) -> None:
    assert violations(kind, SOUND[kind]) == ()
    for document in FULL:
        assert violations(document.root["kind"], document) == ()


ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2**40)
    | st.sampled_from(["", "web\n", "1Gi", "5s", "x" * 99]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "x-a", "b"]), inner),
    max_leaves=4,
)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield from places(inner, (*at, step))


@given(st.sampled_from(FULL), st.data())
def test_gate_and_words_and_editors_agree(document: ParsedDocument, data: st.DataObject) -> None:
    root, kind = json.loads(json.dumps(document.root)), document.root["kind"]
    place = data.draw(st.sampled_from(list(places(root))[1:]))
    holder = root
    for step in place[:-1]:
        holder = holder[step]
    if isinstance(holder, dict) and data.draw(st.booleans()):
        holder[data.draw(st.sampled_from(["replica", "x-b", "volumes", "tls", "GPU"]))] = data.draw(ANY)
    else:
        holder[place[-1]] = data.draw(ANY)
    passes = gate(kind).is_valid(root)
    problems = violations(kind, document_of(root))
    assert passes == (problems == ())
    assert not any("as its schema states it" in problem.message for problem in problems)
    if root.get("kind") == kind:
        assert gate("manifest").is_valid(root) == passes


def gate(name: str) -> jsonschema_rs.Draft202012Validator:
    registry = jsonschema_rs.Registry([(schema(each)["$id"], schema(each)) for each in NAMES])
    return jsonschema_rs.Draft202012Validator(schema(name), registry=registry, offline=True)


def test_what_a_host_costs_may_have_a_fraction() -> None:
    (document,) = parse("h.yaml", edited(HOST, '2375"}', '2375", cost: {perHour: 0.42}}').encode()).documents
    assert violations("Host", document) == ()
    (whole,) = parse("h.yaml", edited(HOST, '2375"}', '2375", capacity: {cpu: 2.0}}').encode()).documents
    assert len(violations("Host", whole)) == 1


def test_sound_manifests_never_import_the_slow_validator() -> None:
    script = f"""
import sys
from pathlib import Path
from rota.manifest.load import Loader
from tests.manifest.trees import folder
assert Loader().load(folder(Path({str(EXAMPLE)!r}))).problems == ()
assert "jsonschema" not in sys.modules
assert "pathspec" not in sys.modules
"""
    path = f"{REPOSITORY / 'operator'}:{REPOSITORY}"
    subprocess.run([sys.executable, "-c", script], check=True, env={"PYTHONPATH": path}, cwd=REPOSITORY)
