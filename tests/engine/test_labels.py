"""Labels are read back as they were written, whatever the schema accepts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.core.container import Check
from rota.core.ids import WorkloadId
from rota.core.observed import ContainerState, Foreign, Health, HostView, ObservedContainer
from rota.core.resources import Resources, extended_of
from rota.engine.labels import CHECK, DEPENDS_ON, REQUESTS, labels_for, read, restarts_by_itself
from rota.engine.port import ListedContainer
from tests.engine.desk import listed, start

SIGNALS = st.sampled_from(["SIGTERM", "SIGRTMIN+3", "SIGQUIT", "TERM", "15", "SIGRTMAX-1"])


@given(signal=SIGNALS, grace=st.floats(0, 1e7), slot=st.integers(0, 10**6))
def test_what_is_written_is_read(signal: str, grace: float, slot: int) -> None:
    action = start(slot, spec={"stop_signal": signal, "stop_grace_period": round(grace, 3)})
    listed = ListedContainer(
        id="1", name=action.name, labels=labels_for(action), state=ContainerState.RUNNING
    )
    found = read(listed, action.fleet_uid, HostView(name=action.host), 0.0)
    assert isinstance(found, ObservedContainer), found
    assert (found.signal, found.grace, found.slot) == (signal, action.container.stop_grace_period, slot)
    assert (found.workload, found.spec, found.requests) == (action.workload, action.spec, action.requests)


def found_with(text: str) -> ObservedContainer | Foreign:
    """What is read of a container whose requests are written as `text`."""
    action = start()
    labels = {**labels_for(action), REQUESTS: text}
    listed = ListedContainer(id="1", name=action.name, labels=labels, state=ContainerState.RUNNING)
    return read(listed, action.fleet_uid, HostView(name=action.host), 0.0)


NAMES = st.from_regex("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True).filter(
    lambda name: name not in ("cpu", "memory", "instances")
)


@given(
    cpu=st.integers(1, 10**10),
    memory=st.integers(1, 2**60),
    extended=st.dictionaries(NAMES, st.integers(1, 10**6), max_size=4),
)
def test_requests_are_read_as_written(cpu: int, memory: int, extended: dict[str, int]) -> None:
    requests = Resources(cpu=cpu, memory=memory, extended=extended_of(extended))
    found = found_with(labels_for(start(requests=requests))[REQUESTS])
    assert isinstance(found, ObservedContainer), found
    assert found.requests == requests


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        (Resources(cpu=250, memory=1 << 28), "cpu=250m,memory=268435456"),
        (
            Resources(cpu=250, memory=1 << 28, extended=(("fpga", 2), ("gpu", 1))),
            "cpu=250m,memory=268435456,fpga=2,gpu=1",
        ),
    ],
)
def test_requests_as_text(requests: Resources, text: str) -> None:
    assert labels_for(start(requests=requests))[REQUESTS] == text
    found = found_with(text)
    assert isinstance(found, ObservedContainer), found
    assert found.requests == requests


@pytest.mark.parametrize(
    "text",
    [
        "",
        "much",
        "cpu=1,memory=2",
        "cpu=1m,memory=2,",
        "cpu=1m,memory=2,gpu",
        "cpu=1m,memory=2,gpu=",
        "cpu=1m,memory=2,gpu=-1",
        "cpu=1m,memory=2,gpu=1m",
        "cpu=1m,memory=2,GPU=1",
        "cpu=1m,memory=2,=1",
        "cpu=1m,memory=2,gpu=1,gpu=1",
        "cpu=1m,memory=2,cpu=1",
        "cpu=1m,memory=2,memory=1",
        "cpu=1m,memory=2,instances=1",
        "gpu=1,cpu=1m,memory=2",
        "cpu=1m,memory=2,gpu=1\n",
        "cpu=\u0661m,memory=2",
        f"cpu={'1' * 5000}m,memory=2",
        f"cpu=1m,memory=2,gpu={'1' * 5000}",
    ],
)
def test_requests_that_cannot_be_read_make_a_container_foreign(text: str) -> None:
    found = found_with(text)
    assert isinstance(found, Foreign)
    assert found.reason == "carries this fleet's labels, but they cannot be read"


def test_a_check_that_starts_over_is_a_new_start_with_all_of_its_time() -> None:
    """An Engine that was restarted unseen lists what it runs as running, as before."""

    def seen(health: Health, before: HostView, now: float) -> HostView:
        one = ListedContainer(
            id="c1", name="web", labels=labels_for(start()), state=ContainerState.RUNNING, health=health
        )
        found = read(one, start().fleet_uid, before, now)
        assert isinstance(found, ObservedContainer)
        return HostView(name="h1", containers=(found,))

    def ages(view: HostView) -> tuple[float, float | None]:
        return view.containers[0].seen_since, view.containers[0].ready_since

    begun = seen(Health.STARTING, HostView(name="h1"), 10.0)
    healthy = seen(Health.HEALTHY, seen(Health.STARTING, begun, 12.0), 15.0)
    assert ages(healthy) == (10.0, 15.0)
    assert ages(seen(Health.UNHEALTHY, healthy, 400.0)) == (10.0, None)
    assert ages(seen(Health.STARTING, healthy, 900.0)) == (900.0, None)
    assert ages(seen(Health.HEALTHY, seen(Health.STARTING, healthy, 900.0), 905.0)) == (900.0, 905.0)


def test_what_it_depends_on_and_when_it_was_made_are_read() -> None:
    depends_on = (WorkloadId("shop", "db"), WorkloadId("shop", "cache"))
    action = start(depends_on=depends_on)
    assert labels_for(action)[DEPENDS_ON] == "shop/db,shop/cache"
    found = read(listed(action, created=1_700_000_000), "u1", HostView(name="h1"), 0.0)
    assert isinstance(found, ObservedContainer), found
    assert (found.depends_on, found.created) == (depends_on, 1_700_000_000)


@pytest.mark.parametrize("text", [None, "", ",", "db", "/db", "shop/", "a/b/c"])
def test_a_label_that_names_no_workload_names_none(text: str | None) -> None:
    action = start()
    assert DEPENDS_ON not in labels_for(action)
    others = {} if text is None else {DEPENDS_ON: text}
    made = listed(action, labels={**labels_for(action), **others})
    found = read(made, "u1", HostView(name="h1"), 0.0)
    assert isinstance(found, ObservedContainer), found
    assert found.depends_on == ()


@pytest.mark.parametrize("restarts", [True, False])
def test_whether_its_engine_brings_it_back_is_read(restarts: bool) -> None:
    assert restarts_by_itself(labels_for(start(restarts=restarts))) is restarts


def check_found(text: str) -> Check | None:
    """What is read as the check of a container that carries `text`."""
    action = start()
    found = read(listed(action, labels={**labels_for(action), CHECK: text}), "u1", HostView(name="h1"), 0.0)
    assert isinstance(found, ObservedContainer), found
    return found.check


@given(
    check=st.builds(
        Check,
        port=st.integers(1, 65535),
        path=st.none() | st.from_regex("/[!-~]{0,1000}", fullmatch=True),
        interval=st.integers(100, 3_600_000).map(lambda each: each / 1000),
        timeout=st.integers(100, 60_000).map(lambda each: each / 1000),
        fall=st.integers(1, 1000),
        rise=st.integers(1, 1000),
    )
)
def test_a_check_is_read_as_written(check: Check) -> None:
    found = read(listed(start(check=check)), "u1", HostView(name="h1"), 0.0)
    assert isinstance(found, ObservedContainer), found
    assert found.check == check


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (Check(port=8080, path="/up?deep=1"), "http:8080:/up?deep=1 5.0 2.0 3 2"),
        (Check(port=6379, interval=0.5, timeout=60, fall=1, rise=4), "tcp:6379 0.5 60.0 1 4"),
    ],
)
def test_a_check_as_text(check: Check, text: str) -> None:
    assert labels_for(start(check=check))[CHECK] == text
    assert check_found(text) == check
    assert CHECK not in labels_for(start())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "often",
        "tcp:80",
        "udp:80 5.0 2.0 3 2",
        "http:80 5.0 2.0 3 2",
        "http:80:up 5.0 2.0 3 2",
        "http:80:/u p 5.0 2.0 3 2",
        "tcp:80 0.0 2.0 3 2",
        "tcp:80 0.05 2.0 3 2",
        "tcp:80 5.0 0.0 3 2",
        "tcp:80 5.0 3600.0 3 2",
        "tcp:80 nan 2.0 3 2",
        "tcp:80 5.0 2.0 0 2",
        "tcp:80 5.0 2.0 3 -2",
        "tcp:80 5.0 2.0 3 2\n",
        f"tcp:{'8' * 5000} 5.0 2.0 3 2",
    ],
)
def test_a_label_that_states_no_sound_check_states_none(text: str) -> None:
    """An image may carry any label."""
    assert check_found(text) is None


def test_one_that_dies_and_comes_back_has_all_of_its_time_again() -> None:
    """Old as it is: its deadline to become healthy counts from its death, not from its first start."""
    action = start()
    row = listed(action)
    young = read(row, action.fleet_uid, HostView(name=action.host), 0.0)
    assert isinstance(young, ObservedContainer)
    before = HostView(name=action.host, containers=(young,))
    found = read(replace(row, state=ContainerState.RESTARTING), action.fleet_uid, before, 1000.0)
    assert isinstance(found, ObservedContainer)
    assert (found.seen_since, found.ready_since) == (1000.0, None)
