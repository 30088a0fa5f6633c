"""What differs between two revisions: every field, and no value of an environment."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rota.manifest.document import Document
from rota.report.diff import compare

SECRET = "pa55word"


def service(**spec: Any) -> Document:
    raw = {
        "apiVersion": "rota/v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3, "container": {"image": "web:1"}, "resources": {"requests": {"cpu": 1}}}
        | spec,
    }
    return Document("Service", "shop", "web", "web.yaml", 1, raw=raw)


def fields(before: Document, after: Document) -> tuple[str, ...]:
    diffs = compare([before], [after])
    return diffs[0].fields if diffs else ()


def container(**keys: Any) -> Document:
    return service(container={"image": "web:1"} | keys)


def test_objects_that_come_go_and_stay() -> None:
    host = Document("Host", "", "h1", "h1.yaml", 1, raw={"spec": {"endpoint": "x"}})
    assert [(one.change, one.kind, one.name) for one in compare([host], [service()])] == [
        ("-", "Host", "h1"),
        ("+", "Service", "shop/web"),
    ]
    assert compare([host, service()], [service(), host]) == ()


def test_every_kind_of_difference() -> None:
    after = service(
        replicas=4, priority=5, container={"image": "web:2", "command": []}, resources={"requests": {}}
    )
    assert fields(service(), after) == (
        "+ container.command: []   # replaces",
        '~ container.image: "web:1" -> "web:2"   # replaces',
        "+ priority: 5",
        "~ replicas: 3 -> 4",
        "+ resources.requests: {}   # replaces",
        "- resources.requests.cpu: 1   # replaces",
    )


def test_types_differ_too() -> None:
    assert fields(container(init=1), container(init=True)) == ("~ container.init: 1 -> true   # replaces",)


def test_named_things_are_compared_by_name() -> None:
    before = container(ports=[{"name": "http", "target": 80}, {"name": "admin", "target": 81}])
    after = container(ports=[{"name": "admin", "target": 81}, {"name": "http", "target": 8080}])
    assert fields(before, after) == ("~ container.ports.http.target: 80 -> 8080   # replaces",)


def test_lists_without_names_or_with_a_name_twice_are_one_value() -> None:
    for before, after in (([1], [1, 2]), ([{"name": "a", "x": 1}] * 2, [{"name": "a", "x": 2}] * 2)):
        assert len(fields(container(volumes=before), container(volumes=after))) == 1


def test_keys_that_are_no_plain_words_are_quoted() -> None:
    before, after = container(labels={"a.b/c": "1"}), container(labels={"a.b/c": "2", "x\n- y": "1"})
    assert fields(before, after) == (
        '~ container.labels["a.b/c"]: "1" -> "2"   # replaces',
        '+ container.labels["x\\n- y"]: "1"   # replaces',
    )


def test_environments_differ_without_their_values() -> None:
    before = container(environment={"KEPT": SECRET, "OLD": SECRET, "SAME": SECRET})
    after = container(environment={"KEPT": SECRET + "2", "NEW": SECRET, "SAME": SECRET})
    assert fields(before, after) == (
        "~ container.environment.KEPT: (changed)   # replaces",
        "+ container.environment.NEW: (set)   # replaces",
        "- container.environment.OLD: (set)   # replaces",
    )


def test_extensions_replace_nothing_and_keep_their_values() -> None:
    """YAML anchors for environments lie in `x-` keys."""
    before, after = container(**{"x-env": {"A": SECRET}}), container(**{"x-env": {"A": SECRET + "2"}})
    assert fields(before, after) == ("~ container.x-env.A: (changed)",)


def test_a_label_that_is_called_environment_is_no_secret() -> None:
    before, after = container(labels={"environment": "test"}), container(labels={"environment": "live"})
    assert fields(before, after) == ('~ container.labels.environment: "test" -> "live"   # replaces',)


ENVIRONMENTS = st.dictionaries(st.text(min_size=1), st.just(SECRET) | st.just(SECRET * 2)) | st.lists(
    st.text().map(lambda name: f"{name}={SECRET}")
)


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_no_value_of_an_environment_is_ever_shown(before: object, after: object) -> None:
    for line in fields(container(environment=before), container(environment=after)):
        assert SECRET not in line
