"""`spec.failure` of the Fleet: how soon a silent host is doubted, and when it is given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rota.core.model import FailureSettings
from rota.manifest.problem import Pointer
from rota.manifest.quantity import amount, stated_seconds
from rota.manifest.reader import Reader

_HERE: Final[Pointer] = ("spec", "failure")
_HEARTBEATS: Final = 3
"""So many stay without an answer before a host can be lost: fewer may be chance."""


def failure_settings(reader: Reader) -> FailureSettings:
    """The settings of a Fleet. The three times give way to each other where they are not stated."""
    stated: Mapping[str, Any] = reader.spec.get("failure", {})
    default = FailureSettings()
    heartbeat = stated_seconds(stated, "heartbeat", default.heartbeat)
    soonest = round(_HEARTBEATS * heartbeat, 3)
    # Half of it at most: of hosts that vanish together all are doubted before the first is given up.
    suspect_unless = min(default.suspect_after, stated_seconds(stated, "lostAfter", default.lost_after) / 2)
    suspect_after = stated_seconds(stated, "suspectAfter", suspect_unless)
    lost_unless = max(default.lost_after, round(suspect_after + heartbeat, 3), soonest)
    lost_after = stated_seconds(stated, "lostAfter", lost_unless)
    engine_down_unless = max(default.engine_down_after, lost_after)
    settings = FailureSettings(
        heartbeat=heartbeat,
        suspect_after=suspect_after,
        lost_after=lost_after,
        engine_down_after=stated_seconds(stated, "engineDownAfter", engine_down_unless),
        brake=amount(stated["brake"]) if "brake" in stated else default.brake,
    )
    _check_order(reader, stated, settings, soonest)
    return settings


def _check_order(
    reader: Reader, stated: Mapping[str, Any], settings: FailureSettings, soonest: float
) -> None:
    """Report the first thing that would come too early; the place is a key that the manifest states."""

    def unless_given(key: str, value: float) -> str:
        return "" if key in stated else f"{key} is {value:g}s unless given."

    if settings.heartbeat == 0:
        reader.report((*_HERE, "heartbeat"), "must be more than 0")
    elif settings.lost_after < soonest:
        message = "lostAfter must be at least three heartbeats: fewer answers that are missing may be chance"
        reader.report((*_HERE, "lostAfter"), message, unless_given("heartbeat", settings.heartbeat))
    elif settings.suspect_after <= settings.heartbeat:
        key = "suspectAfter" if "suspectAfter" in stated else "heartbeat"
        message = "suspectAfter must be longer than heartbeat, or every host is suspect between two probes"
        reader.report((*_HERE, key), message, unless_given("suspectAfter", settings.suspect_after))
    elif settings.lost_after < settings.suspect_after:
        message = "lostAfter must not be shorter than suspectAfter: a host is doubted before it is given up"
        reader.report((*_HERE, "lostAfter"), message)
    elif settings.engine_down_after < settings.lost_after:
        message = (
            "engineDownAfter must not be shorter than lostAfter: where the Engine alone is down,"
            " the containers still serve"
        )
        mend = unless_given("lostAfter", settings.lost_after)
        reader.report((*_HERE, "engineDownAfter"), message, mend)
