"""Extended resources, what fills, and quotas, as far as several documents are concerned."""

from __future__ import annotations

import pytest

from tests.manifest.trees import FLEET, HOST, OVERRIDE, POLICY, QUOTA, SERVICE, edited, load, told

BASE = {"fleet.yaml": FLEET, "web.yaml": SERVICE}
PINNED = edited(SERVICE, '"web:1"', '"web:1", volumes: [{type: volume, source: stored, target: /a}]')
WHY = (
    "shop/web cannot fill: it keeps the volume stored, and data is pinned to slots; a count that follows"
    " what is left over would leave volumes behind"
)


def host(resources: str) -> str:
    return edited(HOST, '2375"}', f'2375", resources: {resources}}}')


def asking(requests: str) -> str:
    return edited(SERVICE, "memory: 1Gi", f"memory: 1Gi, {requests}")


def test_a_resource_that_a_host_declares() -> None:
    files = {**BASE, "h.yaml": host("{gpu: 1, fpga: 0}")}
    assert told({**files, "web.yaml": asking("gpu: 4"), "q.yaml": edited(QUOTA, "cpu: 24", "fpga: 2")}) == []


@pytest.mark.parametrize(
    ("resources", "mend"),
    [
        ("{gpu: 1}", 'Did you mean "gpu"?'),
        ("{licence: 0, fpga: 2, x-gpus: 1}", "Hosts declare fpga, licence."),
        ("{}", "Declare it at the Hosts that have it."),
    ],
)
def test_a_resource_that_no_host_declares_is_a_warning(resources: str, mend: str) -> None:
    loaded = load({**BASE, "web.yaml": asking("gpus: 1"), "h.yaml": host(resources)})
    (problem,) = loaded.problems
    assert (problem.severity, str(problem)) == (
        "warning",
        (
            "web.yaml:6:47: no Host declares the resource gpus in spec.resources"
            f" (at spec.resources.requests.gpus). {mend}"
        ),
    )
    assert loaded.fleet is not None


def test_a_quota_of_a_resource_that_no_host_declares() -> None:
    assert told({**BASE, "q.yaml": edited(QUOTA, "cpu: 24", "cpus: 24")}) == [
        (
            "q.yaml:5:10: no Host declares the resource cpus in spec.resources (at spec.hard.cpus)."
            ' Did you mean "cpu"? (warning)'
        )
    ]


def test_no_warnings_while_a_file_is_broken() -> None:
    files = {**BASE, "web.yaml": asking("gpus: 1"), "q.yaml": edited(QUOTA, "shop}", "ops}")}
    assert [line.endswith("(warning)") for line in told(files)] == [True, True]
    assert [line.partition(":")[0] for line in told({**files, "h.yaml": host("[]")})] == ["h.yaml"]


@pytest.mark.parametrize(
    ("old", "new", "place", "pointer"),
    [
        ("{web: 1}", "{web: {fill: true}}", "p.yaml:6:26", "spec.base.replicas.web"),
        ("{web: 50%}", "{web: {fill: true, max: 2}}", "p.yaml:8:83", "spec.windows[0].replicas.web"),
    ],
)
def test_a_policy_cannot_let_volumes_fill(old: str, new: str, place: str, pointer: str) -> None:
    text = edited(POLICY, old, new)
    assert told({**BASE, "p.yaml": text}) == []
    expected = f"{place}: {WHY} (at {pointer}). Give a count."
    assert told({**BASE, "web.yaml": PINNED, "p.yaml": text}) == [expected]


def test_an_override_cannot_let_volumes_fill() -> None:
    text = edited(OVERRIDE, "replicas: 3", "replicas: {fill: true}")
    assert told({**BASE, "o.yaml": text}) == []
    assert told({**BASE, "web.yaml": PINNED, "o.yaml": text}) == [
        f"o.yaml:8:13: {WHY} (at spec.replicas). Give a count."
    ]


def test_overlaps_are_told_whether_counts_fill_or_not() -> None:
    filling = POLICY.replace("{web: 1}", "{web: {fill: true}}").replace("{web: 50%}", "{web: {fill: true}}")
    files = {**BASE, "a.yaml": POLICY, "b.yaml": edited(filling, "name: hours", "name: more")}
    assert told(files) == [
        (
            "b.yaml:6:21: the base of shop/web is already stated by CapacityPolicy shop/hours at a.yaml:1"
            " (at spec.base.replicas.web). Remove one of them."
        ),
        (
            "b.yaml:8:7: window day of CapacityPolicy shop/more overlaps window day of CapacityPolicy"
            " shop/hours on mon 07:00-20:00; both state shop/web with priority 0 (at spec.windows[0])."
            " Give one of them a higher priority, or other hours."
        ),
    ]
    more = edited(edited(OVERRIDE, "rush, n", "more, n"), "replicas: 3", "replicas: {fill: true}")
    assert told({**BASE, "a.yaml": OVERRIDE, "b.yaml": more}) == [
        (
            "b.yaml:8:3: replicas of Service web is set at the same time by Override shop/rush at a.yaml:1"
            " (at spec.replicas). Let one end before the other begins."
        )
    ]


def test_a_filling_workload_must_exist() -> None:
    text = POLICY.replace("{web: 1}", "{wob: {fill: true}}")
    assert told({**BASE, "p.yaml": text}) == [
        (
            'p.yaml:6:21: there is no Service "wob" in namespace shop (at spec.base.replicas.wob).'
            ' Did you mean "web"?'
        )
    ]


def test_two_quotas_of_one_name() -> None:
    there = edited(QUOTA, "namespace: shop", "namespace: ops")
    ops = edited(SERVICE, "namespace: shop", "namespace: ops")
    assert told({**BASE, "a.yaml": QUOTA, "b.yaml": there, "ops.yaml": ops}) == []
    assert told({**BASE, "a.yaml": QUOTA, "b.yaml": QUOTA}) == [
        (
            "b.yaml:3:18: Quota shop/all is already defined at a.yaml:1 (at metadata.name)."
            " Rename or remove one of them."
        )
    ]


def test_a_quota_that_covers_nobody_is_a_warning() -> None:
    labelled = edited(SERVICE, "namespace: shop}", "namespace: shop, labels: {team: a}}")
    chosen = f"{QUOTA}  selector: {{matchLabels: {{team: TEAM}}}}\n"
    files = {"fleet.yaml": FLEET, "web.yaml": labelled}
    assert told({**files, "q.yaml": chosen.replace("TEAM", "a")}) == []
    assert told({**files, "q.yaml": chosen.replace("TEAM", "b")}) == [
        (
            "q.yaml:5:3: Quota shop/all covers no workload (at spec)."
            " It counts those of namespace shop with team=b. (warning)"
        )
    ]
    elsewhere = edited(QUOTA, "namespace: shop", "namespace: ops")
    loaded = load({**files, "q.yaml": elsewhere})
    assert [str(problem) for problem in loaded.problems] == [
        "q.yaml:5:3: Quota ops/all covers no workload (at spec). It counts those of namespace ops."
    ]
    assert loaded.fleet is not None
    assert [str(quota) for quota in loaded.fleet.quotas] == ["ops/all"]
