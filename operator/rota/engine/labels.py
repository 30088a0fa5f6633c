"""The labels that make a container ours: written by `create`, read back from every list."""

from __future__ import annotations

import re

from rota.core.ids import WorkloadId
from rota.core.model import INSTANCES
from rota.core.observed import Foreign, Health, HostView, ObservedContainer
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

# At most 20 digits: no sound amount has more, and a label is text of any length. Numbers and names are
# ASCII, so that what is read is what was written.
_REQUESTS = re.compile("cpu=([0-9]{1,20})m,memory=([0-9]{1,20})((?:,[a-z0-9-]{1,63}=[0-9]{1,20})*)")


def labels_for(action: StartInstance) -> dict[str, str]:
    """The user's labels and ours. `rota.requests` and `rota.stop` let it be accounted for and stopped
    by its own spec after its manifest has changed or gone."""
    container = action.container
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
    }


def volume_labels(action: StartInstance) -> dict[str, str]:
    return {FLEET: action.fleet, FLEET_UID: action.fleet_uid, WORKLOAD: str(action.workload)}


def is_the_same(listed: ListedContainer, action: StartInstance) -> bool:
    """Whether a container that has the name of `action` already is what `action` would create."""
    ours = labels_for(action)
    return all(listed.labels.get(key) == ours[key] for key in (FLEET, FLEET_UID, WORKLOAD, SLOT, SPEC))


def read(listed: ListedContainer, uid: str, before: HostView, now: float) -> ObservedContainer | Foreign:
    """A listed container as ours, or why it is not. `before` is the view that ages are carried from."""
    labels = listed.labels
    if labels.get(FLEET_UID) != uid:
        return Foreign(listed.name, f"carries this fleet's name with another uid, {labels.get(FLEET_UID)!r}")
    requests = requests_of(labels.get(REQUESTS, ""))
    stop = re.fullmatch(r"([^/\s]+)/(\d+(?:\.\d+)?)", labels.get(STOP, ""))
    slot = labels.get(SLOT, "")
    if requests is None or stop is None or not slot.isdecimal() or "/" not in labels.get(WORKLOAD, ""):
        return Foreign(listed.name, "carries this fleet's labels, but they cannot be read")
    seen_since, ready_since = _ages(listed, before, now)
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
        seen_since=seen_since,
        ready_since=ready_since,
    )


def requests_text(requests: Resources) -> str:
    """`cpu=250m,memory=268435456`, then extended resources by name: `,gpu=1`."""
    extended = "".join(f",{name}={amount}" for name, amount in requests.extended)
    return f"cpu={requests.cpu}m,memory={requests.memory}{extended}"


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


def _ages(listed: ListedContainer, before: HostView, now: float) -> tuple[float, float | None]:
    """Since when it runs, and since when it is ready. One whose health check starts over was started again,
    by its Engine and unseen: it has all of its time to become healthy."""
    known = next((one for one in before.containers if one.id == listed.id), None)
    over = known is not None and listed.health is Health.STARTING and known.health is not Health.STARTING
    if known is None or over or (listed.state != known.state and not known.running):
        seen_since = now
    else:
        seen_since = known.seen_since
    if not listed.ready:
        return seen_since, None
    return seen_since, known.ready_since if known is not None and known.ready_since is not None else now
