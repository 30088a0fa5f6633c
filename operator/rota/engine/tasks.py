"""How each action is carried out, step by step: a generator that yields calls and receives answers.

Written to be read forwards. A failed call is raised inside the generator; what it does not handle
ends the action. Nothing here blocks: `AwaitExit` is answered by a later list of the host.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import assert_never

from rota.core.ids import WorkloadId
from rota.core.planning.actions import (
    Action,
    PrepareImage,
    ResolveImage,
    RestartInstance,
    StartInstance,
    StopInstance,
)
from rota.engine import labels
from rota.engine.calls import (
    Answer,
    AskReference,
    AskRegistry,
    Call,
    Create,
    CreateVolume,
    FindContainer,
    LookForImage,
    Pull,
    Remove,
    SetRestarts,
    Signal,
    Start,
)
from rota.engine.port import EngineError, ListedContainer, Trouble

KILL_SECONDS = 10.0
"""How long a SIGKILL may take to show before the stop is given up and tried again."""


@dataclass(frozen=True, slots=True)
class AwaitExit:
    """Wait until the container no longer runs, at most `seconds`. The answer is whether it has ended."""

    container_id: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowRestarts:
    """Have the Engine bring a container back again when it dies: its stop was begun and is no longer wanted.

    No decision asks for it; it undoes what a stop of this worker left behind.
    """

    workload: WorkloadId
    slot: int
    container_id: str

    @property
    def id(self) -> str:
        return f"restarts {self.container_id}"


class ForeignName(EngineError):
    """The name is taken by a container that is not ours; it is left alone."""

    def __init__(self, name: str) -> None:
        super().__init__(Trouble.NAME_TAKEN, f"the name {name} is taken by a container that is not Rota's")
        self.name = name


Steps = Generator[Call | AwaitExit, Answer, str]
Task = Steps
"""Returns the reference that an image was resolved to, of other actions nothing: an empty text."""


def task_for(action: Action | AllowRestarts) -> Task:
    """The steps of `action`."""
    match action:
        case StartInstance():
            return _start(action)
        case RestartInstance():
            return _restart(action)
        case StopInstance():
            return _stop(action)
        case ResolveImage():
            return _resolve(action)
        case PrepareImage():
            return _prepare(action)
        case AllowRestarts():
            return _allow_restarts(action)
        case _:
            assert_never(action)


def _start(action: StartInstance) -> Task:
    for volume in action.volumes:
        yield CreateVolume(volume.name, labels.volume_labels(action))
    if action.container.pull_policy == "always" and not action.image:
        yield Pull(action.container.image)
    try:
        container_id = yield from _create(action)
    except EngineError as error:
        if error.trouble is not Trouble.NO_IMAGE:
            raise
        container_id = yield from _fetch_and_create(action, error)
    yield Start(container_id)
    return ""


def _fetch_and_create(action: StartInstance, missing: EngineError) -> Steps:
    """Create once the image is there, where it can be had."""
    if is_local(action.image):
        # Without a digest it is an image of the same name or none.
        if (yield LookForImage(action.container.image)):
            return (yield from _create(replace(action, image="")))
        raise _only_elsewhere(action.container.image, action.image)
    if action.container.pull_policy == "never":
        raise missing
    yield Pull(action.image or action.container.image)
    return (yield from _create(action))


def _create(action: StartInstance) -> Steps:
    try:
        container_id = yield Create(action)
    except EngineError as error:
        if error.trouble is not Trouble.NAME_TAKEN:
            raise
        return (yield from _adopt(action))
    assert isinstance(container_id, str)
    return container_id


def _adopt(action: StartInstance) -> Steps:
    """The name is taken: by this very container, made by a call whose answer was lost, or by another."""
    found = yield FindContainer(action.name)
    if isinstance(found, ListedContainer) and labels.is_the_same(found, action):
        return found.id
    raise ForeignName(action.name)


def _restart(action: RestartInstance) -> Task:
    # A stop that was interrupted has left it without its restart policy.
    yield SetRestarts(action.container_id, action.restarts)
    yield Start(action.container_id)
    return ""


def _stop(action: StopInstance) -> Task:
    try:
        try:
            yield SetRestarts(action.container_id, False)
        except EngineError as error:
            yield from _remove_dead(action.container_id, error)
            return ""
        if not (yield from _end(action.container_id, action.signal, action.grace)) and not (
            yield from _end(action.container_id, "SIGKILL", KILL_SECONDS)
        ):
            raise EngineError(
                Trouble.REJECTED, f"still runs {KILL_SECONDS:g}s after SIGKILL; the Engine may need a restart"
            )
        yield Remove(action.container_id)
    except EngineError as error:
        if error.trouble is not Trouble.NOT_FOUND:
            raise
    return ""


def _remove_dead(container_id: str, refusal: EngineError) -> Generator[Call | AwaitExit, Answer, None]:
    """Remove what an Engine left half removed when it died: it refuses everything else. What runs is never
    removed so, and the refusal stands."""
    if refusal.trouble is not Trouble.REJECTED:
        raise refusal
    try:
        yield Remove(container_id)
    except EngineError as error:
        if error.trouble is not Trouble.REJECTED:
            raise
        raise refusal from error


def _end(container_id: str, signal: str, seconds: float) -> Generator[Call | AwaitExit, Answer, bool]:
    """Signal and wait; whether it has ended. One that does not run has ended already."""
    try:
        yield Signal(container_id, signal)
    except EngineError as error:
        if error.trouble is not Trouble.REJECTED:
            raise
    return bool((yield AwaitExit(container_id, seconds)))


def _allow_restarts(errand: AllowRestarts) -> Task:
    try:
        yield SetRestarts(errand.container_id, True)
    except EngineError as error:
        if error.trouble is not Trouble.NOT_FOUND:
            raise
    return ""


def _resolve(action: ResolveImage) -> Task:
    fresh = action.pull_policy == "always"
    if not fresh and (here := (yield AskReference(action.image))):
        return str(here)
    if action.pull_policy == "never":
        raise _never_pulled(action.image)
    try:
        return str((yield AskRegistry(action.image)))
    except EngineError as error:
        if fresh and (here := (yield AskReference(action.image))):
            return str(here)
        # Without an answer, too, nothing was changed that has to be looked at: it has failed.
        raise EngineError(Trouble.REJECTED, str(error)) from error


def _prepare(action: PrepareImage) -> Task:
    resolved = action.image != action.stated
    if (resolved or action.pull_policy != "always") and (yield LookForImage(action.image)):
        return ""
    if is_local(action.image):
        if (yield LookForImage(action.stated)):
            return ""
        raise _only_elsewhere(action.stated, action.image)
    if action.pull_policy == "never":
        raise _never_pulled(action.stated)
    yield Pull(action.image)
    return ""


def is_local(image: str) -> bool:
    """Whether a reference is the id of an image: no registry gave it a digest, so it cannot be pulled."""
    return image.startswith("sha256:")


def _never_pulled(image: str) -> EngineError:
    return EngineError(Trouble.NO_IMAGE, f"{image} is not on the host and pull_policy is never")


def _only_elsewhere(stated: str, image: str) -> EngineError:
    return EngineError(
        Trouble.NO_IMAGE,
        f"{stated} ({image[:19]}) came from no registry and exists only on the hosts that have it; push it "
        "to a registry, or load it on this host",
    )
