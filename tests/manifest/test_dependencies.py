"""Dependencies between documents: who must exist, and circles of which none could be started first."""

from __future__ import annotations

from itertools import pairwise

from tests.manifest.trees import FLEET, SERVICE, edited, told


def service(name: str, *wanted: str) -> str:
    """A Service that depends on each of `wanted`."""
    entries = ", ".join(f"{{service: {each}}}" for each in wanted)
    return f"{edited(SERVICE, 'name: web', f'name: {name}')}  dependsOn: [{entries}]\n"


def problems(**services: str) -> list[str]:
    return told({"fleet.yaml": FLEET, **{f"{name}.yaml": text for name, text in services.items()}})


def test_what_is_depended_on_must_exist_in_the_own_namespace() -> None:
    other = edited(service("redis"), "namespace: shop", "namespace: ops")
    assert problems(a=service("a", "b", "redis"), b=service("b", "mysq"), c=service("mysql"), d=other) == [
        (
            'a.yaml:7:39: there is no Service "redis" in namespace shop (at spec.dependsOn[1].service).'
            " There is one in namespace ops, but only names of the own namespace count."
        ),
        (
            'b.yaml:7:25: there is no Service "mysq" in namespace shop (at spec.dependsOn[0].service).'
            ' Did you mean "mysql"?'
        ),
    ]


def test_what_is_missing_is_not_told_while_a_file_is_broken() -> None:
    broken = edited(service("b"), "cpu: 1", "cpu: x")
    assert [line.partition(" ")[0] for line in problems(a=service("a", "b"), b=broken)] == ["b.yaml:6:31:"]


def test_two_that_wait_for_each_other() -> None:
    assert problems(a=service("a", "b"), b=service("b", "c", "a"), c=service("c")) == [
        (
            "b.yaml:7:39: dependencies form a circle, of which none could be started first: a -> b -> a"
            " (at spec.dependsOn[1].service). Remove one of them."
        )
    ]


def test_three_in_a_circle() -> None:
    assert problems(a=service("a", "b"), b=service("b", "d", "c"), c=service("c", "a"), d=service("d")) == [
        (
            "c.yaml:7:25: dependencies form a circle, of which none could be started first: a -> b -> c -> a"
            " (at spec.dependsOn[0].service). Remove one of them."
        )
    ]


def test_each_knot_is_told_once() -> None:
    assert len(problems(a=service("a", "b", "c"), b=service("b", "a"), c=service("c", "a"))) == 1
    two = problems(a=service("a", "b"), b=service("b", "a"), c=service("c", "d"), d=service("d", "c"))
    assert [problem.partition(":")[0] for problem in two] == ["b.yaml", "d.yaml"]


def test_many_ways_to_one_are_no_circle() -> None:
    diamond = {"a": service("a", "b", "c"), "b": service("b", "d"), "c": service("c", "b", "d")}
    assert problems(**diamond, d=service("d")) == []


def test_the_same_names_of_two_namespaces_are_no_circle() -> None:
    there = edited(service("b", "a"), "namespace: shop", "namespace: ops")
    lone = edited(service("a"), "namespace: shop", "namespace: ops")
    assert problems(a=service("a", "b"), b=service("b"), c=there, d=lone) == []


def test_a_circle_of_dependencies_beside_one_of_affinities() -> None:
    near = "  placement: {affinity: [{service: OTHER, required: true}]}\n"
    files = {
        "a": service("a", "b") + near.replace("OTHER", "b"),
        "b": service("b", "a") + near.replace("OTHER", "a"),
    }
    assert [problem.partition(": ")[2].partition(" ")[0] for problem in problems(**files)] == [
        "dependencies",
        "required",
    ]


def test_a_chain_of_thousands() -> None:
    names = [f"s{number:04}" for number in range(3000)]
    chain = [service(name, following) for name, following in pairwise(names)]
    files = {f"{at}.yaml": "---\n".join(chain[at : at + 500]) for at in range(0, len(chain), 500)}
    assert told({"fleet.yaml": f"{FLEET}---\n{service(names[-1])}", **files}) == []
