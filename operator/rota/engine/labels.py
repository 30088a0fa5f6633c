"""The labels that make a container ours: written by `create`, read back from every list."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from rota.core.container import Check
from rota.core.ids import WorkloadId
from rota.core.model import INSTANCES
from rota.core.observed import ContainerState, Foreign, Health, HostView, ObservedContainer
from rota.core.planning.actions import StartInstance
from rota.core.resources import Resources, extended_of
from rota.engine.port import ListedContainer

FLEET = "rota.fleet"
FLEET_UID = "rota.fleet-uid"
WORKLOAD = "rota.workload"
KIND = "rota.kind"
SLOT = "rota.slot"
SPEC = "rota.spec"
REVISION = "rota.revision"
CAUSE = "rota.cause"
REQUESTS = "rota.requests"
STOP = "rota.stop"
DEPENDS_ON = "rota.depends-on"
"""Only where it depends on any: workloads, joined by commas."""
RESTARTS = "rota.restarts"
"""Only where its Engine is not to bring it back: `no`."""
CHECK = "rota.check"
"""Only where it is checked from outside: `http:8080:/up 5.0 2.0 3 2` or `tcp:6379 5.0 2.0 3 2`, the last four
its interval, timeout, fall and rise."""

# At most 20 digits: no sound amount has more, and a label is text of any length. Numbers and names are
# ASCII, so that what is read is what was written.
_REQUESTS = re.compile("cpu=([0-9]{1,20})m,memory=([0-9]{1,20})((?:,[a-z0-9-]{1,63}=[0-9]{1,20})*)")
_CHECK = re.compile(
    "(?:http:(?P<http>[0-9]{1,5}):(?P<path>/[!-~]{0,1000})|tcp:(?P<tcp>[0-9]{1,5}))"
    " (?P<interval>[0-9]{1,4}[.][0-9]{1,20}) (?P<timeout>[0-9]{1,4}[.][0-9]{1,20})"
    " (?P<fall>[1-9][0-9]{0,3}) (?P<rise>[1-9][0-9]{0,3})"
)
_LEAST_SECONDS = 0.1
_MOST_SECONDS = 60.0
"""An image may carry labels of any text: none may flood a host with checks, or have one wait for ever."""


def labels_for(action: StartInstance) -> dict[str, str]:
    """The user's labels and ours. `rota.requests`, `rota.stop` and `rota.check` let it be accounted for,
    stopped and checked by its own spec after its manifest has changed or gone."""
    container = action.container
    sometimes = {
        DEPENDS_ON: ",".join(str(one) for one in action.depends_on),
        RESTARTS: "" if action.restarts else "no",
        CHECK: check_text(action.check) if action.check is not None else "",
    }
    return {
        **container.labels,
        FLEET: action.fleet,
        FLEET_UID: action.fleet_uid,
        WORKLOAD: str(action.workload),
        KIND: action.kind,
        SLOT: str(action.slot),
        SPEC: action.spec,
        REVISION: action.revision,
        CAUSE: action.cause,
        REQUESTS: requests_text(action.requests),
        STOP: f"{container.stop_signal}/{container.stop_grace_period!r}",
        **{label: text for label, text in sometimes.items() if text},
    }


def volume_labels(action: StartInstance) -> dict[str, str]:
    return {FLEET: action.fleet, FLEET_UID: action.fleet_uid, WORKLOAD: str(action.workload)}


def is_the_same(listed: ListedContainer, action: StartInstance) -> bool:
    """Whether a container that has the name of `action` already is what `action` would create."""
    ours = labels_for(action)
    return all(listed.labels.get(key) == ours[key] for key in (FLEET, FLEET_UID, WORKLOAD, SLOT, SPEC))


def read(
    listed: ListedContainer, uid: str, before: HostView, now: float, started: float | None = None
) -> ObservedContainer | Foreign:
    """A listed container as ours, or why it is not.

    `before` is the view that ages are carried from, `started` when an event told last that it was started.
    """
    labels = listed.labels
    if labels.get(FLEET_UID) != uid:
        return Foreign(listed.name, f"carries this fleet's name with another uid, {labels.get(FLEET_UID)!r}")
    requests = requests_of(labels.get(REQUESTS, ""))
    stop = re.fullmatch(r"([^/\s]+)/(\d+(?:\.\d+)?)", labels.get(STOP, ""))
    slot = labels.get(SLOT, "")
    if requests is None or stop is None or not slot.isdecimal() or "/" not in labels.get(WORKLOAD, ""):
        return Foreign(listed.name, "carries this fleet's labels, but they cannot be read")
    seen_since, ready_since = _ages(listed, before, now, started)
    return ObservedContainer(
        id=listed.id,
        name=listed.name,
        host=before.name,
        workload=WorkloadId.parse(labels[WORKLOAD]),
        kind=labels.get(KIND, ""),
        slot=int(slot),
        spec=labels.get(SPEC, ""),
        revision=labels.get(REVISION, ""),
        state=listed.state,
        health=listed.health,
        requests=requests,
        grace=float(stop[2]),
        signal=stop[1],
        ports=listed.ports,
        depends_on=workloads_of(labels.get(DEPENDS_ON, "")),
        check=check_of(labels.get(CHECK, "")),
        created=listed.created,
        seen_since=seen_since,
        ready_since=ready_since,
    )


def restarts_by_itself(labels: Mapping[str, str]) -> bool:
    """Whether a container with these labels is one that its Engine brings back."""
    return labels.get(RESTARTS) != "no"


def workloads_of(text: str) -> tuple[WorkloadId, ...]:
    """The workloads that a label names; what names none is left out."""
    names = (name for name in text.split(",") if re.fullmatch(r"[^/]+/[^/]+", name))
    return tuple(WorkloadId.parse(name) for name in names)


def check_text(check: Check) -> str:
    """`http:PORT:PATH INTERVAL TIMEOUT FALL RISE`, or `tcp:PORT` in the place of the first."""
    asked = f"tcp:{check.port}" if check.path is None else f"http:{check.port}:{check.path}"
    return f"{asked} {float(check.interval)} {float(check.timeout)} {check.fall} {check.rise}"


@lru_cache(maxsize=1024)
def check_of(text: str) -> Check | None:
    """What `check_text` has written; None where it cannot have, or no manifest could have stated it."""
    found = _CHECK.fullmatch(text)
    if found is None:
        return None
    interval, timeout = float(found["interval"]), float(found["timeout"])
    if interval < _LEAST_SECONDS or not _LEAST_SECONDS <= timeout <= _MOST_SECONDS:
        return None
    return Check(
        port=int(found["http"] or found["tcp"]),
        path=found["path"],
        interval=interval,
        timeout=timeout,
        fall=int(found["fall"]),
        rise=int(found["rise"]),
    )


def requests_text(requests: Resources) -> str:
    """`cpu=250m,memory=268435456`, then extended resources by name: `,gpu=1`."""
    extended = "".join(f",{name}={amount}" for name, amount in requests.extended)
    return f"cpu={requests.cpu}m,memory={requests.memory}{extended}"


@lru_cache(maxsize=1024)
def requests_of(text: str) -> Resources | None:
    """What `requests_text` has written; None where it cannot have."""
    found = _REQUESTS.fullmatch(text)
    if found is None:
        return None
    pairs = [pair.partition("=") for pair in found[3].split(",")[1:]]
    extended = {name: int(amount) for name, _, amount in pairs}
    if len(extended) < len(pairs) or not extended.keys().isdisjoint(("cpu", "memory", INSTANCES)):
        return None
    return Resources(cpu=int(found[1]), memory=int(found[2]), extended=extended_of(extended))


def _ages(
    listed: ListedContainer, before: HostView, now: float, started: float | None
) -> tuple[float, float | None]:
    """Since when it runs, and since when it is ready. One that was started again, or is about to be, as an
    event told, its state or a health check that starts over shows, has all of its time to become healthy."""
    known = next((one for one in before.containers if one.id == listed.id), None)
    if known is None:
        return now, now if listed.ready else None
    over = listed.health is Health.STARTING and known.health is not Health.STARTING
    again = started is not None and started > known.seen_since
    died = listed.state is ContainerState.RESTARTING and known.state is not ContainerState.RESTARTING
    if over or again or died or (listed.state != known.state and not known.running):
        return now, now if listed.ready else None
    if not listed.ready:
        return known.seen_since, None
    return known.seen_since, known.ready_since if known.ready_since is not None else now
