"""Images: what a name stands for, and how it comes to a host."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rota.core.observed import Result
from rota.core.planning.actions import PrepareImage, ResolveImage, RestartInstance, StopInstance
from rota.engine.calls import AskReference, AskRegistry, Call, Create, LookForImage, Pull, SetRestarts, Start
from rota.engine.port import Trouble
from rota.engine.workbench import MOST_REGISTRY_ASKS
from rota.engine.worker_events import Lane
from tests.engine.desk import Desk, listed, prepare, resolve, restart, start, stop

DIGEST = f"web@sha256:{'d' * 64}"
HERE = f"web@sha256:{'e' * 64}"
ID = f"sha256:{'f' * 64}"
ONE = listed(start())


@pytest.fixture
def ready() -> Desk:
    made = Desk()
    made.be_reachable()
    return made


def result(desk: Desk) -> tuple[str, Result, str]:
    (outcome,) = desk.outcomes
    return outcome.verb, outcome.result, outcome.image


# --- resolve


@pytest.mark.parametrize(
    ("policy", "here", "registry", "image"),
    [
        ("missing", HERE, None, HERE),
        ("missing", ID, None, ID),
        ("missing", None, DIGEST, DIGEST),
        ("never", ID, None, ID),
        ("always", None, DIGEST, DIGEST),
    ],
)
def test_a_name_is_resolved_here_first_or_always_in_the_registry(
    policy: str, here: str | None, registry: str | None, image: str, ready: Desk
) -> None:
    ready.submit(resolve("web:2", policy))
    if policy != "always":
        ready.answer(AskReference, here)
    if registry is not None:
        ready.answer(AskRegistry, registry)
    assert ready.calls(Call) == []  # type: ignore[arg-type]
    assert result(ready) == ("resolve", Result.DONE, image)


@pytest.mark.parametrize("trouble", [Trouble.REJECTED, Trouble.SILENT, Trouble.HUNG])
def test_where_the_registry_fails_the_image_that_is_here_will_do(trouble: Trouble, ready: Desk) -> None:
    ready.submit(resolve("web:2", "always"))
    ready.fail(AskRegistry, trouble, "503 Service Unavailable")
    ready.answer(AskReference, HERE)
    assert result(ready) == ("resolve", Result.DONE, HERE)


@pytest.mark.parametrize("policy", ["always", "missing"])
@pytest.mark.parametrize("trouble", [Trouble.REJECTED, Trouble.SILENT, Trouble.HUNG])
def test_what_neither_has_fails_with_the_words_of_the_registry(
    policy: str, trouble: Trouble, ready: Desk
) -> None:
    ready.submit(resolve("web:2", policy))
    if policy == "missing":
        ready.answer(AskReference, None)
    ready.fail(AskRegistry, trouble, "web:2: unauthorized")
    if policy == "always":
        ready.answer(AskReference, None)
    assert result(ready) == ("resolve", Result.FAILED, "")
    assert ready.outcomes[0].message == "web:2: unauthorized"


def test_what_is_never_pulled_is_not_looked_for_in_a_registry(ready: Desk) -> None:
    ready.submit(resolve("web:2", "never"))
    ready.answer(AskReference, None)
    assert ready.calls(AskRegistry) == []
    assert result(ready)[1] is Result.FAILED
    assert "pull_policy is never" in ready.outcomes[0].message


def test_a_registry_that_hangs_holds_up_no_work_and_says_nothing_of_the_host(ready: Desk) -> None:
    ready.submit(*(resolve(f"web:{slot}", "always", slot) for slot in range(20)), start(30))
    assert len(ready.calls(AskRegistry)) == MOST_REGISTRY_ASKS
    ready.fail(AskRegistry, Trouble.SILENT, "no answer within 10s")
    assert len(ready.calls(AskRegistry)) == MOST_REGISTRY_ASKS
    ready.pass_time(1)
    ready.heartbeats()
    assert ready.worker.view.detail == ""


def test_work_is_not_held_up_by_questions_to_registries(ready: Desk) -> None:
    ready.submit(*(resolve(f"web:{slot}", "always", slot) for slot in range(5)), *map(start, range(30, 33)))
    assert len(ready.calls(Create)) == 3


@pytest.mark.parametrize("hangs", [prepare("web:2", "always"), resolve("web:2", "always")])
@pytest.mark.parametrize("wanted", [stop(ONE), restart(ONE)])
def test_an_image_that_hangs_holds_up_nothing_else_of_its_slot(
    hangs: PrepareImage | ResolveImage, wanted: StopInstance | RestartInstance
) -> None:
    desk = Desk()
    desk.be_reachable(ONE)
    desk.submit(hangs)
    desk.submit(hangs, wanted)
    assert len(desk.calls(SetRestarts)) == 1


def test_images_of_one_slot_come_one_after_the_other(ready: Desk) -> None:
    """So that pulls which nobody wants any more do not queue before the one that is."""
    ready.submit(prepare("web:2", "always"))
    ready.submit(prepare("web:3", "always"))
    ready.submit(prepare("web:4", "always"))
    assert ready.calls(Pull) == [Pull("web:2")]
    ready.fail(Pull, Trouble.REJECTED)
    assert ready.calls(Pull) == [Pull("web:4")]


def test_questions_to_registries_keep_no_start_from_beginning(ready: Desk) -> None:
    ready.submit(*(resolve(f"web:{slot}", "always", slot) for slot in range(20)), start(30))
    assert ready.calls(Create) == [Create(start(30))]


# --- prepare


@pytest.mark.parametrize("policy", ["missing", "always", "never"])
def test_a_reference_that_is_here_is_done(policy: str, ready: Desk) -> None:
    ready.submit(prepare(DIGEST, policy, stated="web:2"))
    ready.answer(LookForImage, True)
    assert result(ready)[:2] == ("image", Result.DONE)
    assert ready.worker.view.images == {DIGEST}


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_a_reference_that_is_not_here_is_pulled(policy: str, ready: Desk) -> None:
    ready.submit(prepare(DIGEST, policy, stated="web:2"))
    ready.answer(LookForImage, False)
    assert ready.worker.view.pulling == {DIGEST}
    assert [one.lane for one in ready.asked if isinstance(one.call, Pull)] == [Lane.PULL]
    ready.answer(Pull)
    assert (ready.worker.view.images, ready.worker.view.pulling) == ({DIGEST}, frozenset())


def test_an_id_is_stood_in_for_by_the_name(ready: Desk) -> None:
    ready.submit(prepare(ID, stated="web:2"))
    ready.answer(LookForImage, False)
    assert ready.calls(LookForImage) == [LookForImage("web:2")]
    ready.answer(LookForImage, True)
    assert result(ready)[1] is Result.DONE
    assert ready.worker.view.images == {ID, "web:2"}


def test_an_id_that_is_nowhere_near_fails_and_says_why(ready: Desk) -> None:
    ready.submit(prepare(ID, stated="web:2"))
    ready.answer(LookForImage, False)
    ready.answer(LookForImage, False)
    assert ready.calls(Pull) == []
    assert result(ready)[1] is Result.FAILED
    assert ready.outcomes[0].message == (
        "web:2 (sha256:ffffffffffff) came from no registry and exists only on the hosts that have it; "
        "push it to a registry, or load it on this host"
    )
    assert ready.worker.view.images == frozenset()


# --- start


def created(desk: Desk) -> list[str]:
    return [call.image for call in desk.calls(Create) if isinstance(call, Create)]


def test_it_is_created_from_what_its_name_was_resolved_to(ready: Desk) -> None:
    ready.submit(start(image=DIGEST))
    assert created(ready) == [DIGEST]
    ready.answer(Create, "id")
    assert ready.worker.view.images == {DIGEST}
    assert ready.calls(Start) == [Start("id")]


@pytest.mark.parametrize("policy", ["missing", "always"])
def test_a_reference_that_is_missing_at_the_start_is_pulled(policy: str, ready: Desk) -> None:
    ready.submit(start(image=DIGEST, spec={"pull_policy": policy}))
    ready.fail(Create, Trouble.NO_IMAGE)
    assert ready.calls(Pull) == [Pull(DIGEST)]
    ready.answer(Pull)
    assert created(ready) == [DIGEST]


def test_an_id_that_is_missing_at_the_start_is_stood_in_for_by_the_name(ready: Desk) -> None:
    action = start(image=ID)
    ready.submit(action)
    ready.fail(Create, Trouble.NO_IMAGE)
    ready.answer(LookForImage, True)
    assert ready.calls(Create) == [Create(replace(action, image=""))]
    assert created(ready) == ["web:1"]
    ready.answer(Create, "id")
    assert ready.calls(Start) == [Start("id")]


def test_an_id_that_is_missing_and_has_no_stand_in_fails(ready: Desk) -> None:
    ready.submit(start(image=ID))
    ready.fail(Create, Trouble.NO_IMAGE)
    ready.answer(LookForImage, False)
    assert ready.calls(Pull) == []
    assert ready.outcomes[0].result is Result.FAILED
    assert "came from no registry" in ready.outcomes[0].message


def test_pulls_of_one_reference_are_shared(ready: Desk) -> None:
    ready.submit(start(0, image=DIGEST), start(1, image=DIGEST), prepare(DIGEST, slot=2, stated="web:1"))
    ready.fail(Create, Trouble.NO_IMAGE)
    ready.fail(Create, Trouble.NO_IMAGE)
    ready.answer(LookForImage, False)
    assert ready.calls(Pull) == [Pull(DIGEST)]
    ready.answer(Pull)
    assert created(ready) == [DIGEST, DIGEST]
