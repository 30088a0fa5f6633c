"""Why a step is not taken now: a word that programs tell apart, and the sentence that people read."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class WaitReason(StrEnum):
    """What a step waits for. The words are the reasons of events, too."""

    NO_SEAT = "NoSeat"
    """No host admits it."""
    NO_ROOM_FOR_SURGE = "NoRoomForSurge"
    ROOM_COMES = "RoomComes"
    """It has a host, where room is being freed for it."""
    AFTER_ROOM = "AfterRoom"
    """It is growth that an edge asks for, and what it needs is not free before that edge."""
    AHEAD_OF_EDGE = "AheadOfEdge"
    """It is only due at an edge, and finds no place before it."""
    BUDGET = "BudgetSpent"
    """As many are being replaced as its update and disruption rules allow."""
    SICK = "OthersSick"
    """Where all are sick, something else is the cause: they are replaced a few at a time."""
    SOAK = "Soaking"
    """Its successor is not healthy for long enough yet."""
    CANARIES = "CanariesFirst"
    IMAGE = "ImagePending"
    """It is being looked up or pulled where it is to run."""
    NO_IMAGE = "ImageUnavailable"
    """It was asked for in vain, and no host has it."""
    HOST = "HostSilent"
    """Its host does not answer: unknown removes nothing."""
    STARTING = "BeingStarted"
    PREDECESSOR = "PredecessorThere"
    """The one before it, beside which it must not run, is not gone yet."""
    DEPENDENCY = "DependencyNotReady"
    DEPENDENT = "DependentThere"
    """Somebody that depends on it is not gone yet."""
    BACK_OFF = "BackingOff"
    FAILED = "RolloutFailed"
    VOLUMES = "VolumesThere"
    """The host that it is to leave holds its volumes."""
    PIN = "PinPending"
    GUARD = "PruneBlocked"


ROOM = frozenset({WaitReason.NO_SEAT, WaitReason.NO_ROOM_FOR_SURGE, WaitReason.ROOM_COMES})
"""It has no place yet."""


class Wait(NamedTuple):
    """Why a step is not taken now."""

    reason: WaitReason
    text: str


AFTER_ROOM = Wait(WaitReason.AFTER_ROOM, "after-room: what it needs is not free before the edge")
WITHHELD = Wait(WaitReason.GUARD, "PruneBlocked")
"""The guard keeps what a commit would remove."""
