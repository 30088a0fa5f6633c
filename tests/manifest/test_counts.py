"""Counts of policies and Overrides that a workload cannot have."""

from __future__ import annotations

import pytest

from tests.manifest.trees import FLEET, OVERRIDE, POLICY, SERVICE, edited, told

ONE = f"{SERVICE}  singleton: strict\n"
PINNED = edited(SERVICE, '"web:1"', '"web:1", volumes: [{type: volume, source: data, target: /a}]')
FILLS = (
    "shop/web cannot fill: it keeps the volume data, and data is pinned to slots; a count that follows what"
    " is left over would leave volumes behind"
)


@pytest.mark.parametrize("count", ["0", "1", "0%", "50%", "100%"])
def test_a_singleton_may_be_given_one_or_none(count: str) -> None:
    files = {
        "web.yaml": ONE,
        "p.yaml": edited(edited(POLICY, "web: 1", f"web: {count}"), "web: 50%", f"web: {count}"),
        "o.yaml": edited(OVERRIDE, "replicas: 3", f"replicas: {count}"),
    }
    assert told({"fleet.yaml": FLEET, **files}) == []


@pytest.mark.parametrize(
    ("count", "message"),
    [
        ("2", "shop/web is a singleton: at most 1 instance may run, and not 2"),
        ("101%", "shop/web is a singleton: at most 1 instance may run, and 101% of its replicas are 2"),
        ("500%", "shop/web is a singleton: at most 1 instance may run, and 500% of its replicas are 5"),
        ("{fill: true}", "shop/web cannot fill: it is a singleton, and at most 1 instance may run"),
        ("{fill: true, max: 1}", "shop/web cannot fill: it is a singleton, and at most 1 instance may run"),
    ],
)
@pytest.mark.parametrize("singleton", ["best-effort", "strict"])
def test_a_singleton_is_given_no_more_wherever_it_is_stated(count: str, message: str, singleton: str) -> None:
    files = {
        "web.yaml": edited(ONE, "strict", singleton),
        "a.yaml": edited(edited(POLICY, "web: 1", f"web: {count}"), "web: 50%", f"web: {count}"),
        "b.yaml": edited(OVERRIDE, "replicas: 3", f"replicas: {count}"),
    }
    assert told({"fleet.yaml": FLEET, **files}) == [
        f"a.yaml:6:26: {message} (at spec.base.replicas.web). Give 0 or 1.",
        f"a.yaml:8:83: {message} (at spec.windows[0].replicas.web). Give 0 or 1.",
        f"b.yaml:8:13: {message} (at spec.replicas). Give 0 or 1.",
    ]
    assert told({"fleet.yaml": FLEET, **files, "web.yaml": edited(ONE, "strict", "none")}) == []


def test_a_share_of_no_replicas_is_none() -> None:
    files = {"web.yaml": f"{ONE}  replicas: 0\n", "p.yaml": edited(POLICY, "web: 50%", "web: 500%")}
    assert told({"fleet.yaml": FLEET, **files}) == []


def test_a_singleton_with_a_volume_that_fills_is_told_once() -> None:
    both = f"{PINNED}  singleton: best-effort\n"
    override = edited(OVERRIDE, "replicas: 3", "replicas: {fill: true}")
    assert len(told({"fleet.yaml": FLEET, "web.yaml": both, "o.yaml": override})) == 1


def test_what_keeps_a_volume_cannot_fill() -> None:
    override = edited(OVERRIDE, "replicas: 3", "replicas: {fill: true}")
    assert told({"fleet.yaml": FLEET, "web.yaml": PINNED, "o.yaml": override}) == [
        f"o.yaml:8:13: {FILLS} (at spec.replicas). Give a count."
    ]
