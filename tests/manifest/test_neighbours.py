"""Affinities between documents: who must exist, and what no placement could meet."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.manifest.trees import FLEET, SERVICE, edited, told

KEEP_ONE = "Remove one of them, or let one be preferred only: required: false."


def service(name: str, *together: str, apart: str = "") -> str:
    """A Service that must be with each of `together`, and apart from `apart`, both `name` or `name/scope`."""
    rules = ", ".join(rule(each) for each in together)
    placement = f"  placement:\n    affinity: [{rules}]\n    antiAffinity: [{rule(apart) if apart else ''}]\n"
    return edited(SERVICE, "name: web", f"name: {name}") + placement


def rule(text: str) -> str:
    name, _, scope = text.partition("/")
    return f"{{service: {name}, required: true, scope: {scope or 'host'}}}"


def problems(**services: str) -> list[str]:
    return told({"fleet.yaml": FLEET, **{f"{name}.yaml": text for name, text in services.items()}})


def test_neighbours_must_exist_in_the_own_namespace() -> None:
    other = edited(edited(SERVICE, "name: web", "name: cache"), "namespace: shop", "namespace: ops")
    assert problems(a=service("a", "cache", "bb", apart="b"), b=service("b"), c=other) == [
        (
            'a.yaml:8:26: there is no Service "cache" in namespace shop'
            " (at spec.placement.affinity[0].service)."
            " There is one in namespace ops, but only names of the own namespace count."
        ),
        (
            'a.yaml:8:73: there is no Service "bb" in namespace shop (at spec.placement.affinity[1].service).'
            ' Did you mean "b"?'
        ),
    ]
    assert problems(a=service("a", apart="bb"), b=service("b")) == [
        (
            'a.yaml:9:30: there is no Service "bb" in namespace shop'
            ' (at spec.placement.antiAffinity[0].service). Did you mean "b"?'
        )
    ]


def test_what_is_missing_is_not_told_while_a_file_is_broken() -> None:
    broken = edited(service("b"), "cpu: 1", "cpu: x")
    assert [line.partition(" ")[0] for line in problems(a=service("a", "b"), b=broken)] == ["b.yaml:6:31:"]


def test_two_that_must_be_with_each_other() -> None:
    assert problems(a=service("a", "b"), b=service("b", "a/zone")) == [
        (
            "b.yaml:8:26: required affinities form a circle, of which none could be placed first: a -> b -> a"
            " (at spec.placement.affinity[0].service). State it on one of them only."
        )
    ]


def test_three_in_a_circle() -> None:
    assert problems(a=service("a", "b"), b=service("b", "d", "c"), c=service("c", "a"), d=service("d")) == [
        (
            "c.yaml:8:26: required affinities form a circle, of which none could be placed first:"
            f" a -> b -> c -> a (at spec.placement.affinity[0].service). {KEEP_ONE}"
        )
    ]


def test_of_circles_with_a_workload_in_common_one_is_told() -> None:
    assert len(problems(a=service("a", "b", "c"), b=service("b", "a"), c=service("c", "a"))) == 1
    two = problems(a=service("a", "b"), b=service("b", "a"), c=service("c", "d"), d=service("d", "c"))
    assert [problem.partition(":")[0] for problem in two] == ["b.yaml", "d.yaml"]


def test_a_circle_of_preferences_is_none() -> None:
    one_way = edited(service("b", "a"), "required: true", "required: false")
    assert problems(a=service("a", "b"), b=one_way) == []
    assert problems(a=service("a", "b", "c"), b=service("b", "c"), c=service("c")) == []


def test_the_same_names_of_two_namespaces_are_no_circle() -> None:
    there = edited(service("b", "a"), "namespace: shop", "namespace: ops")
    lone = edited(service("a"), "namespace: shop", "namespace: ops")
    assert problems(a=service("a", "b"), b=service("b"), c=there, d=lone) == []


def test_a_long_circle_is_shown_by_its_ends() -> None:
    names = [f"s{number:03}" for number in range(300)]
    chain = {name: service(name, following) for name, following in pairwise([*names, names[0]])}
    (problem,) = problems(**chain)
    assert problem.startswith("s299.yaml:8:26: ")
    assert ": s000 -> s001 -> s002 -> s003 -> s004 -> s005 -> ... -> s295 -> " in problem
    assert problem.endswith(f" -> s299 -> s000 (at spec.placement.affinity[0].service). {KEEP_ONE}")


def test_a_chain_of_thousands() -> None:
    names = [f"s{number:04}" for number in range(3000)]
    chain = [service(name, following) for name, following in pairwise(names)]
    files = {f"{at}.yaml": "---\n".join(chain[at : at + 500]) for at in range(0, len(chain), 500)}
    assert told({"fleet.yaml": f"{FLEET}---\n{service(names[-1])}", **files}) == []


NODES = "abcdef"


@given(
    st.sets(st.tuples(st.sampled_from(NODES), st.sampled_from(NODES)).filter(lambda edge: edge[0] != edge[1]))
)
def test_a_circle_is_told_exactly_where_there_is_one(edges: set[tuple[str, str]]) -> None:
    files = {name: service(name, *sorted(end for start, end in edges if start == name)) for name in NODES}
    left = set(edges)
    while left:
        # What nobody depends on is in no circle; what remains in the end is.
        ends = {end for _, end in left}
        loose = {edge for edge in left if edge[0] not in ends}
        if not loose:
            break
        left -= loose
    assert bool(problems(**files)) == bool(left)


@pytest.mark.parametrize(
    ("together", "apart", "refused"),
    [("b", "a", True), ("b/zone", "a/zone", True), ("b/zone", "a", False), ("b", "", False)],
)
def test_with_one_that_must_be_apart(together: str, apart: str, refused: bool) -> None:
    expected = (
        "a.yaml:8:26: a must be with b, which must be apart from a by its antiAffinity at b.yaml:1:"
        f" no place would do (at spec.placement.affinity[0].service). {KEEP_ONE}"
    )
    assert problems(a=service("a", together), b=service("b", apart=apart)) == ([expected] if refused else [])
    preferred = edited(service("a", together), "required: true", "required: false")
    assert problems(a=preferred, b=service("b", apart=apart)) == []


def test_a_fixed_port_and_instances_that_keep_apart() -> None:
    port = 'image: "web:1", ports: [{name: a, target: 80, published: 80}]'
    assert problems(a=edited(service("a", apart="a"), 'image: "web:1"', port)) == []
