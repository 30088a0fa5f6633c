"""What must hold between documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.core.windows import interval_on
from rota.manifest.checks import dated_findings
from tests.manifest.trees import FLEET, HOST, OVERRIDE, POLICY, SERVICE, edited, load, told

BASE = {"fleet.yaml": FLEET, "web.yaml": SERVICE}
POLICY_HEAD = """\
apiVersion: rota/v1
kind: CapacityPolicy
metadata: {name: NAME, namespace: shop}
spec:
  timeZone: ZONE
  windows:
"""
MEND = "Give one of them a higher priority, or other hours."


def policy(name: str, zone: str, *windows: str) -> str:
    """A policy of windows for web, each as days, start, end and perhaps priority: `mon,tue 07:00 20:00 5`."""
    lines = [POLICY_HEAD.replace("NAME", name).replace("ZONE", zone)]
    for number, window in enumerate(windows):
        days, start, end, *priority = window.split()
        more = f", priority: {priority[0]}" if priority else ""
        lines.append(
            f'    - {{name: w{number}, days: [{days}], start: "{start}", end: "{end}"{more}, '
            "replicas: {web: 1}}\n"
        )
    return "".join(lines)


def test_two_fleets() -> None:
    other = edited(FLEET, "name: shop", "name: other")
    assert told({"a.yaml": FLEET, "b.yaml": other}) == [
        (
            "b.yaml:2:7: a repository has exactly one Fleet, and one is already defined at a.yaml:1"
            " (at kind). Remove one of them."
        )
    ]
    assert told({"a.yaml": f"{FLEET}---\n{FLEET}"}) == [
        (
            "a.yaml:8:18: Fleet shop is already defined at a.yaml:1 (at metadata.name)."
            " Rename or remove one of them."
        )
    ]


def test_same_name_twice() -> None:
    assert told({**BASE, "sub/web.yaml": SERVICE, "h1.yaml": HOST, "h2.yaml": HOST}) == [
        (
            "h2.yaml:3:18: Host h1 is already defined at h1.yaml:1 (at metadata.name)."
            " Rename or remove one of them."
        ),
        (
            "web.yaml:3:18: Service shop/web is already defined at sub/web.yaml:1 (at metadata.name)."
            " Rename or remove one of them."
        ),
    ]


def test_the_same_name_in_another_namespace_or_of_another_kind() -> None:
    other = edited(SERVICE, "namespace: shop", "namespace: other")
    assert told({**BASE, "other.yaml": other, "p.yaml": edited(POLICY, "hours", "web")}) == []


def test_a_default_namespace_is_a_namespace() -> None:
    bare = edited(SERVICE, ", namespace: shop", "")
    stated = edited(SERVICE, "namespace: shop", "namespace: default")
    assert len(told({**BASE, "a.yaml": bare, "b.yaml": stated})) == 1


def test_a_policy_names_services_of_its_own_namespace() -> None:
    assert told({**BASE, "p.yaml": edited(POLICY, "namespace: shop", "namespace: ops")}) == [
        (
            'p.yaml:6:21: there is no Service "web" in namespace ops (at spec.base.replicas.web).'
            " There is one in namespace shop, but only names of the own namespace count."
        ),
        (
            'p.yaml:8:78: there is no Service "web" in namespace ops (at spec.windows[0].replicas.web).'
            " There is one in namespace shop, but only names of the own namespace count."
        ),
    ]


def test_what_is_missing_is_not_told_while_a_file_is_broken() -> None:
    problems = told({"web.yaml": edited(SERVICE, "cpu: 1", "cpu: x"), "p.yaml": POLICY})
    assert [problem.partition(" ")[0] for problem in problems] == ["web.yaml:6:31:"]


def test_two_policies_state_one_base() -> None:
    other = edited(POLICY, "name: hours", "name: more").partition("  windows")[0]
    assert told({**BASE, "a.yaml": POLICY, "b.yaml": other}) == [
        (
            "b.yaml:6:21: the base of shop/web is already stated by CapacityPolicy shop/hours at a.yaml:1"
            " (at spec.base.replicas.web). Remove one of them."
        )
    ]


@pytest.mark.parametrize(
    ("windows", "when"),
    [
        (("mon 07:00 20:00", "mon 19:00 22:00"), "mon 19:00-20:00"),
        (("mon 07:00 20:00", "mon 20:00 22:00"), ""),
        (("mon 07:00 20:00", "tue 07:00 20:00"), ""),
        (("mon 07:00 20:00", "mon 08:00 09:00 1"), ""),
        (("mon 22:00 06:00", "tue 05:00 07:00"), "tue 05:00-06:00"),
        (("mon 22:00 06:00", "tue 06:00 07:00"), ""),
        (("sun 22:00 06:00", "mon 00:00 00:01"), "mon 00:00-00:01"),
        (("sun 22:00 24:00", "mon 00:00 06:00"), ""),
        (("sun 00:00 24:00", "sun 23:59 24:00"), "sun 23:59-00:00"),
        (("mon,tue,wed 10:00 11:00", "wed,thu 10:59 12:00"), "wed 10:59-11:00"),
        (("mon 07:00 20:00", "mon 07:00 20:00"), "mon 07:00-20:00"),
        (("mon 07:00 20:00 3", "mon 07:00 20:00 3"), "mon 07:00-20:00"),
    ],
)
def test_windows_of_one_zone(windows: tuple[str, str], when: str) -> None:
    within = told({**BASE, "p.yaml": policy("p", "Europe/Berlin", *windows)})
    between = told(
        {
            **BASE,
            "p.yaml": policy("p", "Europe/Berlin", windows[0]),
            "q.yaml": policy("q", "Europe/Berlin", windows[1]),
        }
    )
    if not when:
        assert within == between == []
        return
    priority = windows[0].split()[3:] or ["0"]
    both = f"both state shop/web with priority {priority[0]}"
    assert within == [
        (
            "p.yaml:8:7: window w1 of CapacityPolicy shop/p overlaps window w0 of CapacityPolicy shop/p"
            f" on {when}; {both} (at spec.windows[1]). {MEND}"
        )
    ]
    assert between == [
        (
            "q.yaml:7:7: window w0 of CapacityPolicy shop/q overlaps window w0 of CapacityPolicy shop/p"
            f" on {when}; {both} (at spec.windows[0]). {MEND}"
        )
    ]


def test_windows_of_different_services_may_overlap() -> None:
    api = edited(SERVICE, "name: web", "name: api")
    first = policy("p", "Europe/Berlin", "mon 07:00 20:00")
    second = edited(policy("q", "Europe/Berlin", "mon 07:00 20:00"), "web: 1", "api: 1")
    assert told({**BASE, "api.yaml": api, "p.yaml": first, "q.yaml": second}) == []


def test_a_pair_of_windows_is_told_once_for_all_services() -> None:
    api = edited(SERVICE, "name: web", "name: api")
    text = policy("p", "Europe/Berlin", "mon 07:00 20:00", "mon 07:00 20:00").replace(
        "web: 1", "web: 1, api: 1"
    )
    assert len(told({**BASE, "api.yaml": api, "p.yaml": text})) == 1


@pytest.mark.parametrize(
    ("zone", "window", "when"),
    [
        # The same civil hours, hours apart on the line of UTC.
        ("Asia/Tokyo", "mon 09:00 10:00", ""),
        ("Europe/Paris", "mon 09:00 10:00", "2028-01-03 08:00 to 09:00 UTC"),
        # New York is six hours behind Berlin, but five in the weeks between the two changes of the clock.
        ("America/New_York", "mon 04:00 05:00", "2028-03-13 08:00 to 09:00 UTC"),
        ("America/New_York", "mon 02:00 03:00", ""),
        # Tokyo's Monday morning is Berlin's Sunday evening.
        ("Asia/Tokyo", "mon 17:30 18:30", "2028-01-03 08:30 to 09:00 UTC"),
        ("Asia/Tokyo", "mon 16:30 17:30", "2028-01-03 08:00 to 08:30 UTC"),
    ],
)
def test_windows_of_different_zones(zone: str, window: str, when: str) -> None:
    files = {
        **BASE,
        "p.yaml": policy("p", "Europe/Berlin", "mon 09:00 10:00"),
        "q.yaml": policy("q", zone, window),
    }
    expected = (
        "q.yaml:7:7: window w0 of CapacityPolicy shop/q overlaps window w0 of CapacityPolicy shop/p"
        f" such as {when}; both state shop/web with priority 0 (at spec.windows[0]). {MEND}"
    )
    assert told(files) == ([expected] if when else [])


DAYS = st.lists(
    st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, max_size=3, unique=True
)
MINUTES = st.integers(0, 24 * 4 - 1).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
WINDOWS = st.tuples(DAYS, MINUTES, MINUTES).filter(lambda window: window[1] != window[2])
BERLIN = "Europe/Berlin"
ZONES = st.sampled_from([BERLIN, "Europe/Paris", "America/New_York", "Asia/Kolkata"])


@given(WINDOWS, WINDOWS, ZONES, ZONES)
def test_overlap_is_told_exactly_where_two_windows_are_open_at_once(
    first: tuple[list[str], str, str], second: tuple[list[str], str, str], zone: str, other: str
) -> None:
    texts = [f"{','.join(days)} {start} {end}" for days, start, end in (first, second)]
    files = {**BASE, "p.yaml": policy("p", zone, texts[0]), "q.yaml": policy("q", other, texts[1])}
    problems = told(files)
    apart = [
        edited(files[name], "replicas: {web: 1}", "priority: 1, replicas: {web: 1}") for name in ("q.yaml",)
    ]
    fleet = load({**files, "q.yaml": apart[0]}).fleet
    assert fleet is not None
    spans = [
        [
            interval_on(
                each.windows[0], datetime(2027, 12, 30, tzinfo=UTC).date() + timedelta(days=day), each.zone
            )
            for day in range(368)
        ]
        for each in fleet.policies
    ]
    ends = [sorted((span.start, span.end) for span in each if span is not None) for each in spans]
    assert bool(problems) == any(
        start < until and begin < end for start, end in ends[0] for begin, until in ends[1]
    )


def test_overrides_of_one_field_at_one_time() -> None:
    first = OVERRIDE + '  from: "2026-11-27T00:00:00Z"\n'
    later = edited(OVERRIDE, "name: rush", "name: more")
    apart = edited(later, "2026-11-28T02:00:00+01:00", "2026-11-27T00:00:00Z")
    files = {**BASE, "a.yaml": first}
    assert told({**files, "b.yaml": apart}) == []
    assert told({**files, "b.yaml": edited(later, "replicas: 3", "replicas: 4")}) == [
        (
            "b.yaml:8:3: replicas of Service web is set at the same time by Override shop/rush at a.yaml:1"
            " (at spec.replicas). Let one end before the other begins."
        )
    ]


def test_overrides_of_one_host_from_two_namespaces() -> None:
    cordon = edited(
        edited(OVERRIDE, "Service, name: web", "Host, name: h1"), "replicas: 3", "unschedulable: true"
    )
    other = edited(cordon, "namespace: shop", "namespace: ops")
    assert told({**BASE, "h.yaml": HOST, "a.yaml": cordon, "b.yaml": other}) == [
        (
            "b.yaml:8:3: unschedulable of Host h1 is set at the same time by Override shop/rush at a.yaml:1"
            " (at spec.unschedulable). Let one end before the other begins."
        )
    ]


@pytest.mark.parametrize(("effect", "key"), [("drain: {}", "drain"), ("lost: true", "lost")])
def test_overrides_that_say_the_same_of_a_host_at_one_time(effect: str, key: str) -> None:
    first = edited(edited(OVERRIDE, "Service, name: web", "Host, name: h1"), "replicas: 3", effect)
    other = edited(first, "name: rush", "name: more").replace("drain: {}", "drain: {deadline: 1h}")
    assert told({**BASE, "h.yaml": HOST, "a.yaml": first, "b.yaml": other}) == [
        (
            f"b.yaml:8:3: {key} of Host h1 is set at the same time by Override shop/rush at a.yaml:1"
            f" (at spec.{key}). Let one end before the other begins."
        )
    ]
    cordon = edited(edited(first, "name: rush", "name: more"), effect, "unschedulable: true")
    assert told({**BASE, "h.yaml": HOST, "a.yaml": first, "b.yaml": cordon}) == []


def test_overrides_of_two_fields_or_two_namespaces() -> None:
    fleet = edited(OVERRIDE, "Service, name: web", "Fleet, name: shop")
    files = {
        **BASE,
        "a.yaml": edited(fleet, "replicas: 3", "suspend: true"),
        "b.yaml": edited(edited(fleet, "replicas: 3", "allowRemovals: 3"), "rush, n", "more, n"),
        "c.yaml": edited(SERVICE, "namespace: shop", "namespace: ops"),
        "d.yaml": OVERRIDE.replace("rush,", "third,"),
        "e.yaml": edited(OVERRIDE, "namespace: shop", "namespace: ops"),
    }
    assert told(files) == []


def test_of_many_overrides_each_overlap_is_told() -> None:
    def override(name: str, start: str, until: str) -> str:
        text = edited(OVERRIDE, "name: rush", f"name: {name}")
        text = edited(text, "2026-11-28T02:00:00+01:00", f"2026-11-{until}T00:00:00Z")
        return f"{text}  from: 2026-11-{start}T00:00:00Z\n"

    files = {
        **BASE,
        "a.yaml": override("a", "01", "20"),
        "b.yaml": override("b", "02", "03"),
        "c.yaml": override("c", "04", "05"),
        "d.yaml": override("d", "20", "21"),
    }
    assert [problem.partition(":")[0] for problem in told(files)] == ["b.yaml", "c.yaml"]


def test_dated_findings_are_warnings_and_no_part_of_validity() -> None:
    loaded = load({**BASE, "o.yaml": OVERRIDE})
    assert loaded.problems == ()
    assert loaded.fleet is not None
    until = datetime(2026, 11, 28, 1, tzinfo=UTC)
    assert dated_findings(loaded.fleet, until - timedelta(seconds=1)) == ()
    (finding,) = dated_findings(loaded.fleet, until)
    assert finding.severity == "warning"
    assert str(finding) == (
        "o.yaml:6:10: Override shop/rush ended at 2026-11-28T02:00:00+01:00 (at spec.until). Delete it."
    )
