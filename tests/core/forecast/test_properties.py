"""What holds of every forecast: it is what decisions come to, nothing more and nothing else."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from rota.core.decide import decide
from rota.core.forecast.days import stretch
from rota.core.forecast.settle import Player, Snapshot
from rota.core.forecast.walk import Walk, forecast
from rota.core.ledger import Ledger
from rota.core.model import Fill, Fleet, Service
from rota.core.observed import Now
from rota.core.windows import wanted
from tests import builders
from tests.builders import amounts, fleet, host, service
from tests.core.placement.strategies import examples
from tests.core.scenes import seen

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = (date(2026, 6, 1), date(2026, 10, 25), date(2027, 3, 28))
NAMES = ("api", "bat", "cat", "dog")


@st.composite
def fleets(draw: st.DrawFn, *, room: bool = False) -> Fleet:
    """A few hosts and workloads, and two windows that overlap; with `room` there is enough for all."""
    cores = 64000 if room else draw(st.sampled_from((4000, 8000)))
    hosts = [
        host(f"h{at}", cpu=cores, memory=65536, labels={"zone": "ab"[at % 2]})
        for at in range(draw(st.integers(1, 4)))
    ]
    ones: list[Service] = [
        service(name, cpu=draw(st.sampled_from((300, 1000, 1700))), priority=draw(st.sampled_from((50, 100))))
        for name in NAMES[: draw(st.integers(1, 4))]
    ]
    counts = st.dictionaries(st.sampled_from([one.id.name for one in ones]), st.integers(0, 6), min_size=1)
    base = dict(amounts(draw(counts)))
    if not room and draw(st.booleans()):
        base[ones[0].id] = Fill(min=draw(st.integers(0, 2)), max=draw(st.sampled_from((None, 8))))  # type: ignore[assignment]
    windows = (
        builders.window("07:00", "20:00", draw(counts), lead=draw(st.sampled_from((None, 0.0, 900.0)))),
        builders.window("02:30", "09:15", draw(counts), name="early", priority=1),
    )
    return fleet(hosts, ones, (builders.policy(base=base, windows=windows),))


@examples(60)
@given(of=fleets(), day=st.sampled_from(DAYS))
def test_it_is_what_decisions_come_to(of: Fleet, day: date) -> None:
    """At every instant the next decision finds nothing to do, and no host is above its capacity."""
    start, end = stretch(day, 1, BERLIN)
    walk = Walk(of, Snapshot(observed=seen(of), ledger=Ledger()), 0, Player(of))
    at, judged_at = start, start
    while at is not None and at < end:
        now = Now(wall=judged_at, mono=(judged_at - start).total_seconds())
        told = walk.step(at, now)
        snapshot = walk.snapshot
        again = decide(of, snapshot.observed, snapshot.ledger, now)
        assert again.actions == ()
        assert [(one.workload, one.count) for one in again.unplaced] == [
            (one.workload, one.count) for one in told.lacks
        ]
        assert {workload: want.due for workload, want in again.wants.items()} == told.wanted
        for name, view in snapshot.observed.hosts.items():
            used = sum(one.requests.cpu for one in view.containers)
            assert used <= (of.hosts[name].cpu or 0)
        at, judged_at = walk.next_instant(now)


@examples(40)
@given(of=fleets(room=True), day=st.sampled_from(DAYS))
def test_where_it_all_fits_everybody_has_what_is_wanted(of: Fleet, day: date) -> None:
    made = forecast(of, Snapshot(observed=seen(of), ledger=Ledger()), stretch(day, 1, BERLIN))
    assert made.fits
    for one in made.instants:
        stated = {workload: want.count for workload, want in wanted(of, one.judged_at).items()}
        if one.turns:
            assert one.counts == stated
        assert all(one.counts[workload] >= count for workload, count in stated.items())


@examples(15)
@given(of=fleets(), day=st.sampled_from(DAYS))
def test_the_same_forecast_twice(of: Fleet, day: date) -> None:
    begin = Snapshot(observed=seen(of), ledger=Ledger())
    once, again = (forecast(of, begin, stretch(day, 1, BERLIN), losses=5) for _ in range(2))
    assert once == again


@examples(15)
@given(of=fleets())
def test_instants_are_in_order_and_within_the_stretch(of: Fleet) -> None:
    made = forecast(of, Snapshot(observed=seen(of), ledger=Ledger()), stretch(DAYS[0], 2, BERLIN))
    times = [one.at for one in made.instants]
    assert times == sorted(set(times))
    assert times[0] == made.start
    assert times[-1] < made.end
    assert all(one.at <= one.judged_at < made.end + timedelta(hours=1) for one in made.instants)
    assert all(
        after.before == before.counts for before, after in zip(made.instants, made.instants[1:], strict=False)
    )


def test_what_was_learnt_before_is_what_leads_are_by() -> None:
    """Nothing is learnt in a world without delay: all days have the same leads."""
    window = builders.window("07:00", "20:00", {"web": 4})
    of = fleet(
        [host("h1")], [service("web")], (builders.policy(base=amounts({"web": 1}), windows=(window,)),)
    )
    ledger = Ledger(start_times={of.services[next(iter(of.services))].id: (100.0,)})
    made = forecast(of, Snapshot(observed=seen(of), ledger=ledger), stretch(DAYS[0], 3, BERLIN))
    leads = [lead.at - lead.begun for one in made.instants for lead in one.leads]
    assert len(leads) == 3
    assert len(set(leads)) == 1
    assert leads[0] > timedelta(seconds=100)
