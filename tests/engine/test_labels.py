"""Labels are read back as they were written, whatever the schema accepts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rota.core.observed import ContainerState, HostView, ObservedContainer
from rota.engine.labels import labels_for, read
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
