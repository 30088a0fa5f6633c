"""A service of twelve under constant change of commits, some of which cannot work."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from rota.core.model import Amount, Fleet, Order, Service, UpdateRules
from rota.engine.memory import ImageTraits
from tests import builders
from tests.simulation.trial import SOUND, UPDATE, WEB, Trial

REPLICAS = 12
START_FIRST = replace(UPDATE, order=Order.START_FIRST, max_surge=Amount(value=25, percent=True))
STOP_FIRST = replace(UPDATE, order=Order.STOP_FIRST, max_surge=Amount(value=25, percent=True))
BAD_IMAGES = {
    "web:sick": replace(SOUND, healthy_after=None),
    "web:crash": replace(SOUND, lives=0.5),
    "web:none": SOUND,
}
SHORTEST, LONGEST = 2.0, 90.0
"""Seconds between two commits: some come at once, some when the one before is through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Churned:
    """What became of so many rollouts: `good` and `failed` ended, `overtaken` were by a newer commit.

    `lowest` is how few were healthy at the worst instant, `most` how many ran at the fullest.
    """

    rollouts: int
    good: int
    failed: int
    overtaken: int
    lowest: int
    most: int
    hours: float
    """Of virtual time."""


def churn(update: UpdateRules, max_unavailable: int, rollouts: int, seed: int) -> Churned:
    """Commit after commit, each with another image; then the last one, which works, comes to its end."""
    choose = random.Random(seed)
    images = [f"web:{number + 1}" for number in range(rollouts + 1)]
    traits = {image: _traits(image) for image in (*images, *BAD_IMAGES)}
    trial = Trial(_fleet(update, max_unavailable), traits, seed=seed)
    trial.registry.missing = {"web:none"}
    began = trial.clock.mono
    good = failed = 0
    for number in range(rollouts):
        last = number == rollouts - 1
        bad = not last and choose.random() < 0.2
        image = choose.choice(sorted(BAD_IMAGES)) if bad else f"web:{number + 2}"
        trial.commit(_web(update, max_unavailable, image, document=f"{number}"))
        if last or choose.random() < 0.3:
            _let_end(trial)
        else:
            trial.run(choose.uniform(SHORTEST, LONGEST))
        good += _is_good(trial, image)
        failed += WEB in trial.ledger.failed
    trial.settle()
    return Churned(
        rollouts=rollouts,
        good=good,
        failed=failed,
        overtaken=rollouts - good - failed,
        lowest=trial.lowest[WEB],
        most=trial.most[WEB],
        hours=(trial.clock.mono - began) / 3600.0,
    )


def _traits(image: str) -> ImageTraits:
    """Sound images differ in how soon they are healthy and how long they take to stop."""
    draw = random.Random(image)
    sound = replace(SOUND, healthy_after=draw.uniform(0.0, 6.0), stop_takes=draw.uniform(0.0, 8.0))
    return BAD_IMAGES.get(image, sound)


def _let_end(trial: Trial) -> None:
    """Until the rollout is done or has failed; the deadlines bound it."""
    for _ in range(200):
        trial.run(10.0)
        if WEB not in trial.ledger.rollouts:
            return
    raise AssertionError(f"the rollout does not end: {trial.ledger.rollouts[WEB]}")


def _is_good(trial: Trial, image: str) -> bool:
    good = trial.ledger.good.get(WEB)
    return good is not None and good.spec == f"v1:{image}"


def _web(update: UpdateRules, max_unavailable: int, image: str, document: str) -> Service:
    return replace(
        builders.service("web", REPLICAS, image=image, update=update),
        document_hash=document,
        max_unavailable=Amount(value=max_unavailable),
    )


def _fleet(update: UpdateRules, max_unavailable: int) -> Fleet:
    hosts = [builders.host(f"h{number}") for number in range(4)]
    return replace(
        builders.fleet(hosts, [_web(update, max_unavailable, "web:1", document="")]), revision=f"{1:040}"
    )
