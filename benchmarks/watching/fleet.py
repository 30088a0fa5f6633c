"""The fleet that is watched: what its commit says, and what runs on its hosts accordingly."""

from __future__ import annotations

from collections.abc import Sequence

from rota.core.container import ContainerSpec
from rota.core.ids import WorkloadId
from rota.core.model import Fleet, Host, Service
from rota.core.observed import PublishedPort
from rota.core.planning.actions import StartInstance, container_name
from rota.core.resources import Resources

NAME, UID, SPEC = "bench", "0badcafe", "v1:2f9d3b5c"
CONTAINERS = 20
"""On each host: one of each workload."""
REQUESTS = Resources(cpu=250, memory=256 << 20)
IMAGE = "registry.example/shop/web:1.6.0"
PORT = 30000


def host_name(host: int) -> str:
    return f"h{host:04}"


def start_of(host: int, at: int) -> StartInstance:
    """How the container came about that a host has in this place: the slot of its workload is its host."""
    workload = WorkloadId("bench", f"w{at:02}")
    return StartInstance(
        host=host_name(host),
        workload=workload,
        kind="Service",
        slot=host,
        name=container_name(NAME, workload, host, (UID, SPEC, 0)),
        spec=SPEC,
        container=ContainerSpec(image=IMAGE, labels={"team": "bench"}),
        requests=REQUESTS,
        ports=(PublishedPort(8080, PORT + at),),
        volumes=(),
        fleet=NAME,
        fleet_uid=UID,
        revision="1" * 40,
        cause="commit 1111111",
    )


def fleet(endpoints: Sequence[str]) -> Fleet:
    """A commit that asks for exactly that."""
    hosts = [
        Host(name=host_name(at), endpoint=endpoint, address="127.0.0.1", cpu=16000, memory=64 << 30)
        for at, endpoint in enumerate(endpoints)
    ]
    services = [
        Service(
            id=WorkloadId("bench", f"w{at:02}"),
            replicas=len(hosts),
            container=ContainerSpec(image=IMAGE),
            requests=REQUESTS,
            spec_hash=SPEC,
        )
        for at in range(CONTAINERS)
    ]
    return Fleet(
        name=NAME,
        uid=UID,
        revision="1" * 40,
        hosts={one.name: one for one in hosts},
        services={one.id: one for one in services},
        policies=(),
    )
