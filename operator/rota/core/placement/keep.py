"""Keep filters: the only reasons for which a running instance is moved."""

from __future__ import annotations

from rota.core.model import Host, Service
from rota.core.rules import Effect


def must_move(service: Service, host: Host | None, pinned_to: str | None) -> str | None:
    """Why an instance may not stay on `host`; None to stay.

    What has its volumes on a host that left the fleet stays there: elsewhere it would lack its data.
    """
    if host is None:
        return "its host left the fleet" if pinned_to is None else None
    if pinned_to not in (None, host.name):
        return f"its volumes are on {pinned_to}"
    return _selector(service, host) or _taints(service, host)


def _selector(service: Service, host: Host) -> str | None:
    for requirement in service.placement.host_selector:
        if not requirement.met_by(host.labels):
            return f"label {requirement} is not met"
    return None


def _taints(service: Service, host: Host) -> str | None:
    tolerations = service.placement.tolerations
    for taint in host.taints:
        if taint.effect is Effect.NO_EXECUTE and not any(one.accepts(taint) for one in tolerations):
            return f"taint {taint} (NoExecute) is not tolerated"
    return None
