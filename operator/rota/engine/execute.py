"""The last step of a pass: hand the actions of a decision to the hosts' workers."""

from __future__ import annotations

import structlog

from rota.core.decide import Decision
from rota.engine.runner import Hosts
from rota.engine.workbench import verb_of

log = structlog.get_logger()


def execute(decision: Decision, hosts: Hosts) -> None:
    """Submit all actions of `decision`: what a worker has begun already it knows by its id.

    Returns at once; how they end comes back as outcomes in a later snapshot.
    """
    for action in decision.actions:
        log.debug("submitted", action=verb_of(action), host=action.host, workload=str(action.workload))
    hosts.submit(decision.actions, held=decision.held is not None)
