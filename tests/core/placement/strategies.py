"""Small random fleets, crowded enough that filters and room come into conflict."""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st

from rota.core.container import ContainerSpec, HealthCheck, Port
from rota.core.ids import WorkloadId
from rota.core.model import Amount, Host, Service, UpdateRules
from rota.core.resources import Resources
from rota.core.rules import (
    Affinity,
    Effect,
    Operator,
    PlacementRules,
    Requirement,
    Spread,
    Strategy,
    Taint,
    Toleration,
)
from tests import builders

TIMES = int(os.environ.get("ROTA_EXAMPLES", "1"))
"""So many times the usual number of examples, and new ones every time."""


def examples(number: int) -> settings:
    """The same examples in every run, unless `ROTA_EXAMPLES` asks for more."""
    return settings(
        max_examples=number * TIMES, deadline=None, derandomize=TIMES == 1, database=None, print_blob=False
    )


NAMES = ("api", "bat", "cat", "dog", "eel", "fox")
SCOPES = ("host", "zone", "rack")
GIGS = 1024


def wid(name: str) -> WorkloadId:
    return WorkloadId("shop", name)


@st.composite
def hosts(draw: st.DrawFn, least: int = 1, most: int = 6) -> list[Host]:
    result = []
    for number in range(draw(st.integers(least, most))):
        labels = {}
        zone = draw(st.sampled_from(("a", "b", "c", None)))
        if zone is not None:
            labels["zone"] = zone
        labels["rack"] = draw(st.sampled_from("xy"))
        if draw(st.booleans()):
            labels["disk"] = "ssd"
        result.append(
            builders.host(
                f"h{number}",
                cpu=draw(st.sampled_from((1000, 2000, 3000, 4000))),
                memory=draw(st.sampled_from((1, 2, 4))) * GIGS,
                labels=labels,
                resources=draw(st.sampled_from(((), (), (("gpu", 1),), (("gpu", 2),)))),
                reserved=draw(st.sampled_from((Resources(), Resources(), Resources(cpu=500)))),
                taints=draw(
                    st.sampled_from(
                        ((), (), (), (Taint(key="gpu"),), (Taint(key="old", effect=Effect.NO_EXECUTE),))
                    )
                ),
                unschedulable=draw(st.integers(0, 9)) == 0,
            )
        )
    return result


@st.composite
def rules(draw: st.DrawFn, names: tuple[str, ...]) -> PlacementRules:
    kinds = draw(st.sets(st.sampled_from(KINDS), max_size=2))
    others = st.sampled_from(names).map(wid)
    result = PlacementRules(strategy=draw(st.sampled_from((Strategy.SPREAD, Strategy.PACK))))
    for kind in sorted(kinds):
        match kind:
            case "selector":
                operator = draw(st.sampled_from((Operator.EXISTS, Operator.DOES_NOT_EXIST)))
                result = replace(result, host_selector=(Requirement(key="disk", operator=operator),))
            case "toleration":
                key = draw(st.sampled_from(("gpu", "old")))
                result = replace(result, tolerations=(Toleration(key=key),))
            case "max":
                result = replace(result, max_per_host=draw(st.integers(1, 2)))
            case "spread":
                spreads = draw(
                    st.lists(
                        st.builds(
                            Spread,
                            key=st.sampled_from(("zone", "rack")),
                            max_skew=st.integers(1, 2),
                            hard=st.booleans(),
                        ),
                        min_size=1,
                        max_size=2,
                        unique_by=lambda one: one.key,
                    )
                )
                result = replace(result, spread=tuple(spreads))
            case "near" | "apart":
                ones = draw(
                    st.lists(
                        st.builds(
                            Affinity,
                            workload=others,
                            scope=st.sampled_from(SCOPES),
                            required=st.booleans(),
                        ),
                        min_size=1,
                        max_size=2,
                        unique_by=lambda one: (one.workload, one.scope),
                    )
                )
                result = replace(result, **{"affinity" if kind == "near" else "anti_affinity": tuple(ones)})
    return result


KINDS = ("selector", "toleration", "max", "spread", "near", "apart")


@st.composite
def services(
    draw: st.DrawFn, most: int = 5, replicas: int = 5, *, plain: bool = False, ports: bool = True
) -> list[Service]:
    names = NAMES[: draw(st.integers(1, most))]
    result = []
    for name in names:
        published = 8080 if ports and not plain and draw(st.integers(0, 5)) == 0 else None
        extended = (("gpu", 1),) if not plain and draw(st.integers(0, 7)) == 0 else ()
        made = builders.service(
            name,
            draw(st.integers(0, replicas)),
            priority=draw(st.sampled_from((50, 100, 100, 200))),
            container=ContainerSpec(
                image="web:1",
                healthcheck=HealthCheck(test=("CMD", "true")),
                ports=(Port(name="http", target=8080, published=published),),
            ),
            placement=PlacementRules(strategy=draw(st.sampled_from(tuple(Strategy))))
            if plain
            else draw(rules(names)),
            update=UpdateRules(min_healthy_time=1.0, max_surge=Amount(value=1)),
            max_unavailable=Amount(value=draw(st.integers(0, 1))),
        )
        requests = Resources(
            cpu=draw(st.sampled_from((0, 250, 500, 750, 1000, 1500, 2000))),
            memory=draw(st.sampled_from((0, 256, 512, 1024, 2048))) * builders.MEBIBYTE,
            extended=extended,
        )
        result.append(replace(made, requests=requests))
    return result
