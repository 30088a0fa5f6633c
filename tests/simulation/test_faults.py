"""Every fault by its name, and that nothing is lost by it: what serves goes on, what is gone comes back.

After every pass of every trial the invariants hold: budgets, pins, foreign containers, hosts that do not
answer.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.container import ContainerSpec, Port
from rota.core.model import Amount, Drain, Order, Service, Singleton
from rota.core.observed import HostState
from rota.core.planning.actions import container_name
from tests import builders
from tests.simulation.convergence import unfinished
from tests.simulation.trial import (
    DB,
    SOLE,
    SOUND,
    UPDATE,
    WEB,
    Trial,
    db,
    fleet,
    lost_for_good,
    shop,
    web,
)

REACHABLE, SUSPECT, LOST = HostState.REACHABLE, HostState.SUSPECT, HostState.LOST
BAD = {
    "web:sick": replace(SOUND, healthy_after=None),
    "web:crash": replace(SOUND, lives=0.2, dies_with=3),
    "web:greedy": replace(SOUND, lives=0.3, out_of_memory=True),
    "web:done": replace(SOUND, lives=0.2, dies_with=0),
}


def sole() -> Service:
    update = replace(UPDATE, order=Order.STOP_FIRST)
    return replace(
        builders.service("sole", image="sole:1", update=update, singleton=Singleton.STRICT),
        max_unavailable=Amount(value=1),
    )


def assert_all_is_well(trial: Trial) -> None:
    """It settles, nothing is left open, and from then on it is left in peace."""
    trial.settle()
    assert unfinished(trial) == []  # type: ignore[arg-type]
    writes = [engine.writes for engine in trial.engines.values()]
    trial.run(120.0)
    assert [engine.writes for engine in trial.engines.values()] == writes


# --- images, registries, programs


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("web:none", "no such image in its registry"),
        ("web:sick", "unhealthy"),
        ("web:crash", "exit 3"),
        ("web:greedy", "killed for lack of memory"),
        ("web:done", "exit 0"),
    ],
    ids=["does-not-exist", "never-healthy", "exits-at-once", "killed-for-memory", "exits-with-0"],
)
def test_an_image_that_does_not_work_is_taken_back(image: str, reason: str) -> None:
    trial = Trial(fleet(), BAD)
    trial.registry.missing = {"web:none"}
    trial.commit(web(image))
    trial.run(600.0)
    failed = trial.ledger.failed[WEB]
    assert (failed.spec, failed.reverts, failed.stuck) == (f"v1:{image}", True, False)
    assert reason in failed.reason
    assert set(trial.where(WEB)) == set("012345")
    assert trial.last is not None
    assert not trial.last.status.ready
    trial.commit(web("web:2"))
    assert_all_is_well(trial)
    assert trial.lowest[WEB] == 6
    assert trial.most[WEB] <= 6 + 2


def test_a_registry_that_is_down_holds_a_rollout_up_and_nothing_else() -> None:
    trial = Trial(fleet())
    trial.registry.trouble = "503 Service Unavailable"
    trial.commit(web("web:2"))
    trial.run(15.0)
    assert trial.verbs() == {}
    assert WEB not in trial.ledger.failed
    trial.registry.trouble = ""
    assert_all_is_well(trial)
    assert trial.lowest[WEB] == 6


def test_a_registry_that_stays_down_gives_a_commit_up_and_what_is_lost_comes_back_without_it() -> None:
    trial = Trial(fleet())
    trial.registry.trouble = "503 Service Unavailable"
    trial.commit(web("web:2"))
    trial.run(120.0)
    assert "503 Service Unavailable" in trial.ledger.failed[WEB].reason
    trial.engine_of(WEB).remove_by_hand(name_of(trial, "0"))
    trial.run(20.0)
    assert trial.serving()[WEB] == 6
    assert trial.lowest[WEB] == 5  # without what was removed by hand


def test_a_disk_that_is_full_sends_a_workload_elsewhere() -> None:
    trial = Trial(fleet())
    full = trial.engine_of(WEB)
    full.disk_full = True
    trial.commit(web("web:2"))
    trial.settle()
    assert trial.lowest[WEB] == 6
    assert trial.engines[trial.where(WEB)["0"]] is not full
    full.disk_full = False
    assert_all_is_well(trial)


# --- Engines and hosts


def test_an_engine_that_is_killed_and_started_again_changes_nothing() -> None:
    trial = Trial(fleet())
    host = trial.where(WEB)["0"]
    ports = ports_of(trial)
    trial.engines[host].crash_and_restart()
    trial.run(120.0)
    assert trial.verbs() == {}
    assert ports_of(trial) == ports
    assert_all_is_well(trial)


def test_an_engine_that_is_paused_for_45_seconds_is_suspect_and_nothing_is_rescheduled() -> None:
    trial = Trial(fleet())
    host = trial.where(WEB)["0"]
    before = ports_of(trial)
    trial.engines[host].hang()
    trial.run(45.0)
    trial.engines[host].heal()
    trial.run(60.0)
    assert trial.states == [(host, SUSPECT), (host, REACHABLE)]
    assert trial.verbs() == {}
    assert ports_of(trial) == before
    assert_all_is_well(trial)


@pytest.mark.parametrize(
    ("fault", "seconds"), [("hang", 90.0), ("refuse", 90.0), ("cut", 40.0)], ids=["paused", "down", "cut-off"]
)
def test_what_a_lost_host_ran_is_replaced_and_settled_when_it_wakes(fault: str, seconds: float) -> None:
    trial = Trial(fleet(*shop(), sole()))
    host = next(name for name in trial.engines if name not in (trial.where(DB)["0"], trial.where(SOLE)["0"]))
    theirs = [slot for slot, at in trial.where(WEB).items() if at == host]
    getattr(trial.engines[host], fault)()
    trial.run(seconds)
    assert trial.states == [(host, SUSPECT), (host, LOST)]
    assert trial.serving()[WEB] == 6
    assert {one.cause for one in trial.done if one.verb == "start"} == {f"{host} is lost"}
    assert len(theirs) == trial.verbs()["start"]
    trial.engines[host].heal()
    trial.run(1.0)
    assert trial.verbs()["stop"] == 0  # not before the one that stays has soaked, and not all at once
    assert_all_is_well(trial)
    assert trial.lowest[WEB] == 6 - len(theirs)
    duplicates = [one for one in trial.done if one.cause.startswith("duplicate of ")]
    assert sorted(str(one.slot) for one in duplicates) == theirs
    assert trial.lowest[DB] == trial.lowest[SOLE] == 1


@pytest.mark.parametrize("workload", [DB, SOLE], ids=["data", "strict-singleton"])
def test_what_must_not_run_twice_waits_for_its_host(workload: object) -> None:
    trial = Trial(fleet(*shop(), sole()))
    host = trial.where(workload)["0"]  # type: ignore[index,arg-type]
    trial.engines[host].cut()
    trial.run(600.0)
    assert trial.where(workload) == {"0": host}  # type: ignore[arg-type]
    assert not [one for one in trial.done if one.workload == workload]
    trial.engines[host].heal()
    assert_all_is_well(trial)
    assert not [one for one in trial.done if one.workload == workload]


def test_a_strict_singleton_is_replaced_once_a_person_says_that_its_host_is_dead() -> None:
    trial = Trial(fleet(*shop(), sole()))
    host = trial.where(SOLE)["0"]
    trial.engines[host].cut()
    trial.engines[host].stop_by_hand(name_of(trial, "0", SOLE))  # the machine is switched off
    trial.run(60.0)
    assert trial.where(SOLE) == {}
    trial.commit(overrides=(lost_for_good(host),))
    trial.run(60.0)
    (home,) = trial.where(SOLE).values()
    assert home != host


def test_all_hosts_that_are_cut_at_once_are_not_believed_to_be_lost() -> None:
    trial = Trial(fleet())
    before = ports_of(trial)
    for engine in trial.engines.values():
        engine.cut()
    trial.run(300.0)
    assert trial.decision is not None
    assert "Rather this operator is cut off" in trial.decision.brake
    for engine in list(trial.engines.values())[:3]:
        engine.heal()
        trial.run(20.0)
    assert trial.decision.brake == ""  # one of four may be lost
    trial.run(60.0)
    assert trial.serving()[WEB] == 6
    for engine in trial.engines.values():
        engine.heal()
    assert_all_is_well(trial)
    assert {key: port for key, port in ports_of(trial).items() if key in before} == before


def test_most_hosts_that_are_cut_at_once_are_waited_for() -> None:
    trial = Trial(fleet())
    before = ports_of(trial)
    for engine in list(trial.engines.values())[1:]:
        engine.cut()
    trial.run(300.0)
    assert trial.verbs() == {}
    for engine in trial.engines.values():
        engine.heal()
    assert_all_is_well(trial)
    assert trial.verbs() == {}
    assert ports_of(trial) == before


def test_another_machine_under_the_name_of_a_host_needs_consent() -> None:
    trial = Trial(fleet(*shop(), sole()))
    host = trial.where(SOLE)["0"]
    there = [slot for slot, at in trial.where(WEB).items() if at != host]
    trial.engines[host].cut()
    trial.run(5.0)
    trial.engines[host].replace_machine()
    trial.engines[host].heal()
    trial.run(120.0)
    assert trial.observed.hosts[host].state is HostState.REFUSED
    assert trial.where(SOLE) == {}
    assert sorted(trial.where(WEB)) == sorted(there)
    assert trial.verbs() == {}
    trial.commit(overrides=(lost_for_good(host),))
    assert_all_is_well(trial)
    assert trial.observed.hosts[host].state is REACHABLE


def test_what_a_silent_host_that_left_the_fleet_ran_is_replaced_once_and_moves_within_the_surge() -> None:
    trial = Trial(fleet(*shop(), hosts=5))
    gone = next(name for name in trial.engines if name != trial.where(DB)["0"])
    before = set(ports_of(trial))
    trial.engines[gone].cut()
    trial.run(5.0)
    hosts = {name: one for name, one in trial.fleet.hosts.items() if name != gone}
    trial.commit(hosts=hosts)
    trial.run(3.0)
    homes = {
        name
        for name, engine in trial.engines.items()
        for one in engine.all_containers()
        if one.id not in before
    }
    assert homes
    drained = {name: replace(one, drain=Drain() if name in homes else None) for name, one in hosts.items()}
    trial.commit(hosts=drained)  # where its successors have just come, they may not stay
    trial.run(300.0)
    assert trial.most[WEB] <= 6 + 2
    trial.engines[gone].heal()
    assert_all_is_well(trial)


# --- names, ports, answers, clocks


def test_a_name_that_a_foreign_container_has_is_left_alone() -> None:
    trial = Trial(fleet())
    name = container_name("test", WEB, 6, ("u1", "v1:web:1", 0))
    for host, engine in trial.engines.items():
        trial.foreign.add((host, engine.add_foreign(name)))
    trial.commit(web(replicas=7))
    assert_all_is_well(trial)
    assert trial.lowest[WEB] == 6
    assert set(trial.where(WEB)) == set("0123456")


def test_a_fixed_port_that_is_taken_sends_an_instance_elsewhere() -> None:
    port = Port(name="http", target=80, published=8080)
    edge = builders.service(
        "edge",
        2,
        container=ContainerSpec(image="edge:1", ports=(port,)),
        spec_hash="v1:edge:1",
        update=replace(UPDATE, order=Order.STOP_FIRST),
        max_unavailable=Amount(value=1),
    )
    trial = Trial(fleet(*shop(), edge))
    free = sorted(set(trial.engines) - set(trial.where(edge.id).values()))
    trial.engines[free[0]].taken_ports = {8080}
    trial.commit(replace(edge, replicas=3))
    assert_all_is_well(trial)
    assert set(trial.where(edge.id).values()) == {*trial.engines} - {free[0]}
    assert trial.lowest[edge.id] == 2


def test_answers_that_are_lost_after_the_call_took_effect_double_nothing() -> None:
    trial = Trial(fleet())
    for engine in trial.engines.values():
        engine.lose_answers(3)
    trial.commit(web("web:2"), db("mysql:9"))
    assert_all_is_well(trial)
    assert trial.lowest[WEB] == 6
    assert trial.most[WEB] <= 6 + 2


@pytest.mark.parametrize("seconds", [3600.0, -3600.0], ids=["ahead", "back"])
def test_a_clock_that_jumps_an_hour_changes_nothing(seconds: float) -> None:
    trial = Trial(fleet())
    trial.simulation.jump(seconds)
    trial.run(300.0)
    assert (trial.verbs(), trial.states) == ({}, [])
    trial.commit(web("web:sick"))  # a rollout whose deadlines do not jump with it
    trial.run(20.0)
    trial.simulation.jump(-2 * seconds)
    trial.run(15.0)
    assert WEB not in trial.ledger.failed
    trial.commit(web("web:2"))
    assert_all_is_well(trial)
    assert trial.lowest[WEB] == 6


def name_of(trial: Trial, slot: str, workload: object = WEB) -> str:
    """The name of the container of a slot."""
    (name,) = {
        one.name
        for one in trial.observed.containers()
        if (one.workload, str(one.slot)) == (workload, slot) and one.ready
    }
    return name


def ports_of(trial: Trial) -> dict[str, tuple[object, ...]]:
    """The containers that run, by id, with their ports."""
    return {
        one.id: one.ports
        for engine in trial.engines.values()
        for one in engine.all_containers()
        if one.state.value == "running"
    }
