"""How a finding reads, and what it never shows."""

from __future__ import annotations

import pytest

from rota.manifest.problem import SHOWN_BYTES, Problem, did_you_mean, dotted, shown
from tests.manifest.trees import FLEET, HOST, SERVICE, edited, told


def test_text_with_and_without_its_parts() -> None:
    assert str(Problem("a.yaml", 3, 4, "", "it is wrong")) == "a.yaml:3:4: it is wrong."
    full = Problem("a.yaml", 3, 4, "spec.a[0]", "it is wrong", "Mend it.")
    assert str(full) == "a.yaml:3:4: it is wrong (at spec.a[0]). Mend it."


def test_a_path_stays_on_its_line() -> None:
    assert str(Problem("a\n\x1b.yaml", 1, 1, "", "m")) == "a\\n\\x1b.yaml:1:1: m."


@pytest.mark.parametrize(
    ("pointer", "text"),
    [
        ((), ""),
        (("spec", "ports", 0, "name"), "spec.ports[0].name"),
        (("labels", "a.b", "x-c"), 'labels["a.b"].x-c'),
        (("é",), '["\\u00e9"]'),
    ],
)
def test_pointer(pointer: tuple[str | int, ...], text: str) -> None:
    assert dotted(pointer) == text


@pytest.mark.parametrize("value", ["a" * 5_000_000, "é" * 199, "\n" * 150, 10**15])
def test_a_value_is_cut(value: object) -> None:
    assert len(shown(value).encode()) <= SHOWN_BYTES


def test_hints_are_given_for_short_words_among_few() -> None:
    assert did_you_mean("replica", ["replicas", "priority"]) == 'Did you mean "replicas"?'
    assert did_you_mean("q", ["replicas"]) == ""
    assert did_you_mean("a" * 5_000_000, ["a" * 5_000_000]) == ""
    assert did_you_mean("web-1", [f"web-{number}" for number in range(10_000)]) == ""


def test_a_value_of_megabytes_gives_a_short_message() -> None:
    value = "a" * 900_000
    for service in (
        edited(SERVICE, "name: web", f"name: {value}"),
        edited(SERVICE, "spec:", f"spec:\n  {value}: 1"),
        edited(SERVICE, '"web:1"', value),
        edited(SERVICE, "memory: 1Gi", f"memory: {value}"),
    ):
        problems = told({"fleet.yaml": FLEET, "web.yaml": service})
        assert problems
        assert all(len(problem) < 1000 for problem in problems)


SECRET = "hunter2"


@pytest.mark.parametrize(
    "container",
    [
        f"{{image: web, environment: {{PASSWORD: [{SECRET}]}}}}",
        f"{{image: web, environment: [{SECRET}]}}",
        f"{{image: web, environment: ['A={SECRET}', 'A={SECRET}', 1]}}",
        f"{{image: web, environment: {SECRET}}}",
        f"{{image: web, enviroment: {{PASSWORD: {SECRET}}}}}",
        f"{{image: 'user:{SECRET}@registry.example/web'}}",
        f"{{image: 'https://user:{SECRET}@registry.example/web'}}",
    ],
)
def test_secrets_are_never_shown(container: str) -> None:
    service = edited(SERVICE, '{image: "web:1"}', container)
    problems = told({"fleet.yaml": FLEET, "web.yaml": service})
    assert problems
    assert not any(SECRET in problem for problem in problems)


@pytest.mark.parametrize("endpoint", [f"tcp://u:{SECRET}@h:1", f"http://{SECRET}@h", f"tcp:// {SECRET}@h"])
def test_an_endpoint_is_never_shown(endpoint: str) -> None:
    problems = told({"fleet.yaml": FLEET, "h.yaml": edited(HOST, "tcp://10.0.0.1:2375", endpoint)})
    assert problems
    assert not any(SECRET in problem for problem in problems)
