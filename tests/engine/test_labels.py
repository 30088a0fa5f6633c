"""Labels are read back as they were written, whatever the schema accepts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.core.observed import ContainerState, Foreign, Health, HostView, ObservedContainer
from rota.core.resources import Resources, extended_of
from rota.engine.labels import REQUESTS, labels_for, read
from rota.engine.port import ListedContainer
from tests.engine.desk import start

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
