"""What became of hosts, and what died on them, between two passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rota.core.event import Event, Moment, Remembered, service_of
from rota.core.model import Fleet
from rota.core.observed import DeathKey, HostState, ObservedState
from rota.core.planning.drains import DrainState
from rota.core.quantities import format_time

MOST_NAMED = 5
"""So many instances that nothing moves are named."""


def of_hosts(before: Remembered, after: Remembered, moment: Moment) -> Iterator[Event]:
    """What became of hosts: heard or not, cordoned, drained, new, gone."""
    for name, state in after.hosts.items():
        was = before.hosts.get(name)
        if state is was or (was is None and state is HostState.REACHABLE):
            continue
        detail = moment.observed.hosts[name].detail
        message = f"is {state}{': ' if detail else ''}{detail}"
        if state is HostState.REACHABLE:
            message = f"answers again; it was {was}"
        yield _host(name, f"Host{state.capitalize()}", message)
    if before.cordons is not None and before.cordons != after.cordons:
        now = after.cordons or {}
        for name in sorted(before.cordons.keys() | now.keys()):
            if name in now and before.cordons.get(name) != now[name]:
                yield _host(name, "Cordoned", now[name])
            elif name not in now:
                yield _host(name, "Uncordoned", "takes new instances again")
    drains, drained = before.ledger.drains, after.ledger.drains
    states = {one.host: one for one in moment.decision.drains} if moment.decision is not None else {}
    for name in sorted(drained.keys() - drains.keys()):
        yield _host(name, "DrainBegun", _drain_words(states.get(name)))
    for name in sorted(drains.keys() - drained.keys()):
        yield _host(name, "DrainEnded", "it is not drained any more")
    for name in sorted(after.emptied - before.emptied):
        yield _host(name, "Drained", "nothing of the fleet runs there any more")
    old, new = before.ledger.hosts.keys(), after.ledger.hosts.keys()
    for name in sorted(new - old) if old else ():
        yield _host(name, "HostJoined", "is a host of the fleet now")
    for name in sorted(old - new):
        yield _host(name, "HostLetGo", "left the fleet, and nothing is known to run there")


def _host(name: str, reason: str, message: str) -> Event:
    return Event(event="host", object=f"Host {name}", host=name, reason=reason, message=message)


def _drain_words(state: DrainState | None) -> str:
    """What is to leave, until when, and what will have to be stopped then."""
    if state is None:
        return "everything is to leave it"
    words = f"{state.left} are to leave it"
    if state.deadline is not None:
        words += f" until {format_time(state.deadline)}; what is there then is stopped"
    stuck = ", ".join(f"{one.workload}/{one.slot}" for one in state.stuck[:MOST_NAMED])
    more = ", ..." if len(state.stuck) > MOST_NAMED else ""
    return f"{words}; nowhere to go yet: {stuck}{more}" if stuck else words


def deaths_seen(observed: ObservedState) -> Mapping[tuple[str, DeathKey], float]:
    """When the last of each slot died, by host and slot."""
    return {
        (name, key): deaths.at[-1]
        for name, view in observed.hosts.items()
        for key, deaths in view.deaths.items()
        if deaths.at
    }


def of_deaths(before: Remembered, observed: ObservedState, fleet: Fleet) -> Iterator[Event]:
    """What died although nobody asked for it."""
    for name, view in observed.hosts.items():
        for key, deaths in view.deaths.items():
            known = before.deaths.get((name, key))
            count = sum(known is None or at > known for at in deaths.at)
            if count:
                workload, slot, _ = key
                yield Event(
                    event="death",
                    object=service_of(workload, fleet),
                    slot=slot,
                    host=name,
                    reason="Died",
                    message=deaths.cause,
                    count=count,
                )
