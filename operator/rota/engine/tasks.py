"""How each action is carried out, step by step: a generator that yields calls and receives answers.

Written to be read forwards. A failed call is raised inside the generator; what it does not handle
ends the action. Nothing here blocks: `AwaitExit` is answered by a later list of the host.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import assert_never

from rota.core.planning.actions import (
    Action,
    PrepareImage,
    RestartInstance,
    StartInstance,
    StopInstance,
)
from rota.engine import labels
from rota.engine.calls import (
    Answer,
    Call,
    Create,
    CreateVolume,
    FindContainer,
    ForbidRestart,
    LookForImage,
    Pull,
    Remove,
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


class ForeignName(EngineError):
    """The name is taken by a container that is not ours; it is left alone."""

    def __init__(self, name: str) -> None:
        super().__init__(Trouble.NAME_TAKEN, f"the name {name} is taken by a container that is not Rota's")
        self.name = name


Task = Generator[Call | AwaitExit, Answer, None]


def task_for(action: Action) -> Task:
    """The steps of `action`."""
    match action:
        case StartInstance():
            return _start(action)
        case RestartInstance():
            return _restart(action)
        case StopInstance():
            return _stop(action)
        case PrepareImage():
            return _prepare(action)
        case _:
            assert_never(action)


def _start(action: StartInstance) -> Task:
    for volume in action.volumes:
        yield CreateVolume(volume.name, labels.volume_labels(action))
    if action.container.pull_policy == "always":
        yield Pull(action.container.image)
    try:
        container_id = yield Create(action)
    except EngineError as error:
        if error.trouble is Trouble.NO_IMAGE and action.container.pull_policy != "never":
            yield Pull(action.container.image)
            container_id = yield Create(action)
        elif error.trouble is Trouble.NAME_TAKEN:
            container_id = yield from _adopt(action)
        else:
            raise
    assert isinstance(container_id, str)
    yield Start(container_id)


def _adopt(action: StartInstance) -> Generator[Call | AwaitExit, Answer, str]:
    """The name is taken: by this very container, made by a call whose answer was lost, or by another."""
    found = yield FindContainer(action.name)
    if isinstance(found, ListedContainer) and labels.is_the_same(found, action):
        return found.id
    raise ForeignName(action.name)


def _restart(action: RestartInstance) -> Task:
    yield Start(action.container_id)


def _stop(action: StopInstance) -> Task:
    try:
        yield ForbidRestart(action.container_id)
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


def _end(container_id: str, signal: str, seconds: float) -> Generator[Call | AwaitExit, Answer, bool]:
    """Signal and wait; whether it has ended. One that does not run has ended already."""
    try:
        yield Signal(container_id, signal)
    except EngineError as error:
        if error.trouble is not Trouble.REJECTED:
            raise
    return bool((yield AwaitExit(container_id, seconds)))


def _prepare(action: PrepareImage) -> Task:
    if action.pull_policy != "always" and (yield LookForImage(action.image)):
        return
    if action.pull_policy == "never":
        raise EngineError(Trouble.NO_IMAGE, f"{action.image} is not on the host and pull_policy is never")
    yield Pull(action.image)
