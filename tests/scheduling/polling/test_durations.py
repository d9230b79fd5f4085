from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_async.errors import InputError
from kling_async.scheduling.polling.durations import DurationModel, WorkKind
from kling_async.scheduling.polling.history import SAVED, History
from kling_async.scheduling.polling.survival import (
    AGES,
    BINS,
    WIDTH,
    edge_near,
    estimate,
    lognormal,
    quantiles,
    shortest_half,
    survival,
)
from kling_async.types.prediction import Json

VIDEO: WorkKind = ("video", "gptproto", "kling-video-o1-std", "text-to-video", "5s")
OTHER: WorkKind = ("video", "gptproto", "kling-video-o1-std", "text-to-video", "10s")
IMAGE: WorkKind = ("image", "gptproto", "kling-image-o1", "text-to-image", "1k")
GUESS = lognormal(10.0, 1.0)


def median(model: DurationModel, kind: WorkKind) -> float:
    """The age at which half still runs."""
    ages, running = model.survival(kind)
    return next(age for age, share in zip(ages, running, strict=True) if share <= 0.5)


def feed(
    model: DurationModel,
    kind: WorkKind,
    takes: Callable[[], float],
    count: int,
    *,
    gap: float = 0.1,
    reports: bool = False,
) -> None:
    """Let predictions finish one after the other, each polled once shortly before it finished and once after."""
    for _ in range(count):
        time = takes()
        model.observe_start(kind)
        after, by = time * (1 - gap / 2), time * (1 + gap / 2)
        model.observe_running(kind, before=0.0, age=after)
        model.observe_completion(kind, after=after, by=by, ran_for=time if reports else None)


def log_normal(middle: float, sigma: float, seed: int = 1) -> Callable[[], float]:
    """Return a generator of durations whose logarithm is normal."""
    rng = Random(seed)
    return lambda: middle * math.exp(sigma * rng.gauss(0.0, 1.0))


def distance(model: DurationModel, kind: WorkKind, running: Callable[[float], float]) -> float:
    """The greatest difference between what is learned and what is true, at any age."""
    ages, learned = model.survival(kind)
    return max(abs(share - running(age)) for age, share in zip(ages[1:], learned[1:], strict=True))


def above(middle: float, sigma: float) -> Callable[[float], float]:
    """Return the share of such times that is above an age."""
    return lambda age: math.erfc(math.log(age / middle) / (sigma * math.sqrt(2.0))) / 2.0


def test_the_grid_reaches_from_a_quarter_of_a_second_to_two_hours() -> None:
    """520 bins, 2 % apart; the nearest edge of each edge is itself."""
    assert len(AGES) == BINS
    assert (AGES[0], AGES[1], AGES[-1]) == (0.0, 0.25, pytest.approx(7200.0))
    assert all(1.019 < b / a < 1.021 for a, b in pairwise(AGES[1:]))
    assert [edge_near(age) for age in AGES] == list(range(BINS))
    assert (edge_near(0.1), edge_near(0.2), edge_near(1e9)) == (0, 1, BINS - 1)


@given(st.floats(1.0, 1000.0), st.floats(0.1, 2.0))
def test_a_guess_is_a_curve_that_rules_nothing_out(middle: float, sigma: float) -> None:
    """Shares add up to 1, and none is 0."""
    shares = lognormal(middle, sigma)
    assert math.fsum(shares) == pytest.approx(1.0)
    assert min(shares) > 0.0
    assert survival(shares)[bisect_right(AGES, middle) - 1] == pytest.approx(0.5, abs=0.09)
    [median] = quantiles(shares, [0.5])
    assert AGES[round(median)] == pytest.approx(middle, rel=0.03)


@given(st.floats(5.0, 500.0), st.floats(0.1, 0.8), st.floats(0.05, 0.3))
def test_a_second_hump_does_not_widen_the_shortest_half(middle: float, sigma: float, share: float) -> None:
    """It is 1.35 standard deviations wide, and with up to 30 % of a distant hump at most twice that."""
    first, second = lognormal(middle, sigma), lognormal(middle / 20.0, sigma)
    width = 1.349 * sigma / WIDTH
    assert shortest_half(first) == pytest.approx(width, rel=0.05, abs=1.0)
    both = [(1.0 - share) * one + share * other for one, other in zip(first, second, strict=True)]
    assert shortest_half(both) <= 2.0 * width + 1.0


def test_two_narrow_humps_are_told_apart_early() -> None:
    """70 % of 8 s and 30 % of 40 s, a fifth apart: of 100 completions none is believed to fall far between them."""
    draw, history = Random(1), History(lognormal(30.0, 1.5), alpha=1.0)
    for _ in range(100):
        fast = draw.random() < 0.7
        took = (8.0 if fast else 40.0) * math.exp(0.15 * draw.gauss(0.0, 1.0))
        history.observe_start()
        if history.observe_completion(0.95 * took, 1.05 * took, None):
            history.fit()
    history.fit()
    between = math.fsum(history.shares[edge_near(14.0) : edge_near(24.0)])
    assert between <= 0.02


INTERVALS = st.dictionaries(
    st.tuples(st.integers(0, BINS - 1), st.integers(1, BINS)).map(lambda pair: (min(pair), max(pair[1], pair[0] + 1))),
    st.floats(0.01, 50.0),
    max_size=12,
)
RUNNING = st.dictionaries(st.integers(1, BINS - 1), st.floats(0.01, 50.0), max_size=8)


@settings(max_examples=40)
@given(INTERVALS, RUNNING, st.floats(0.0, 0.35), st.integers(1, 4))
def test_an_estimate_is_a_curve(
    done: dict[tuple[int, int], float], running: dict[int, float], blur: float, rounds: int
) -> None:
    """Whatever was seen, shares are not negative and add up to 1, and the curve never rises."""
    shares = estimate(GUESS, GUESS, done, running, alpha=1.0, blur=blur, rounds=rounds)
    assert len(shares) == BINS
    assert min(shares) >= 0.0
    assert math.fsum(shares) == pytest.approx(1.0)
    curve = survival(shares)
    assert curve[0] == 1.0
    assert all(a >= b for a, b in pairwise(curve))


def likelihood(
    shares: tuple[float, ...], done: dict[tuple[int, int], float], running: dict[int, float], alpha: float
) -> float:
    """The logarithm of how likely the data are, and the prior's share in it."""
    total = sum(weight * math.log(math.fsum(shares[i:j])) for (i, j), weight in done.items())
    total += sum(weight * math.log(math.fsum(shares[i:])) for i, weight in running.items())
    return total + alpha * sum(old * math.log(new) for old, new in zip(GUESS, shares, strict=True))


@settings(max_examples=25)
@given(INTERVALS.filter(bool))
def test_without_blur_each_round_makes_the_data_likelier(done: dict[tuple[int, int], float]) -> None:
    """That is what EM promises."""
    shares, before = GUESS, -math.inf
    for _ in range(5):
        shares = estimate(shares, GUESS, done, {}, alpha=1.0, blur=0.0, rounds=1)
        now = likelihood(shares, done, {}, 1.0)
        assert now >= before - 1e-7 * abs(now)
        before = now


def test_exact_times_without_blur_or_prior_are_what_was_counted() -> None:
    """A bin's share is the share of the predictions that ended in it, and the running ones move to the right."""
    done = {(100, 101): 1.0, (200, 201): 3.0}
    shares = estimate(GUESS, GUESS, done, {}, alpha=1e-9, blur=0.0, rounds=1)
    assert (shares[100], shares[200]) == (pytest.approx(0.25), pytest.approx(0.75))
    shares = estimate(GUESS, GUESS, done, {150: 4.0}, alpha=1e-9, blur=0.0, rounds=1)
    assert (shares[100], shares[200]) == (pytest.approx(1 / 8), pytest.approx(7 / 8))


def test_new_work_starts_with_a_guess_for_its_kind() -> None:
    """Images take about 9 s, videos about 100, and what is neither something between."""
    model = DurationModel()
    assert median(model, IMAGE) == pytest.approx(9.0, rel=0.03)
    assert median(model, VIDEO) == pytest.approx(100.0, rel=0.03)
    assert 10.0 < median(model, ("sound",)) < 100.0


@pytest.mark.parametrize("reports", [False, True])
def test_the_curve_is_learned_from_polls_or_reports(reports: bool) -> None:
    """300 completions show the curve, however wrong the guess was."""
    model = DurationModel()
    feed(model, VIDEO, log_normal(20.0, 0.3), 300, reports=reports)
    assert distance(model, VIDEO, above(20.0, 0.3)) < 0.07


def test_two_humps_are_learned() -> None:
    """The estimate has no shape of its own."""
    fast, slow, rng = log_normal(10.0, 0.15), log_normal(100.0, 0.15), Random(2)
    model = DurationModel()
    feed(model, VIDEO, lambda: fast() if rng.random() < 0.3 else slow(), 500)
    ages, running = model.survival(VIDEO)
    assert running[bisect_right(ages, 30.0)] == pytest.approx(0.7, abs=0.05)
    assert running[bisect_right(ages, 60.0)] == pytest.approx(0.7, abs=0.05)


def test_a_narrow_curve_is_blurred_less() -> None:
    """The blur goes with the spread, so that +-20 % stay about +-20 %."""
    rng = Random(3)
    model = DurationModel()
    feed(model, IMAGE, lambda: 8.0 + 4.0 * rng.random(), 300, gap=0.02)
    ages, running = model.survival(IMAGE)
    assert running[bisect_right(ages, 7.4)] > 0.97
    assert running[bisect_right(ages, 12.8)] < 0.03


def test_the_running_ones_keep_a_young_batch_from_looking_fast() -> None:
    """Of 200 that start together the first 20 are fast; that the others are seen to outlast them is counted."""
    rng = log_normal(100.0, 0.5, 4)
    times = sorted(rng() for _ in range(200))
    counting, blind = DurationModel(), DurationModel()
    for model in (counting, blind):
        for time in times:
            model.observe_start(VIDEO)
            if model is counting and time > times[19]:
                model.observe_running(VIDEO, before=0.0, age=times[19])
        for time in times[:20]:
            model.observe_running(VIDEO, before=0.0, age=time * 0.97)
            model.observe_completion(VIDEO, after=time * 0.97, by=time * 1.01)
    assert median(blind, VIDEO) < 65.0
    ages, running = counting.survival(VIDEO)
    assert running[bisect_right(ages, times[19]) - 1] == pytest.approx(0.9, abs=0.04)
    # Beyond their last poll nothing is known of them; a later poll that finds them running says more.
    late = [time for time in times if time > 100.0]
    for _ in late:
        counting.observe_running(VIDEO, before=times[19], age=100.0)
    for _ in range(8):
        counting.observe_completion(VIDEO, after=100.0, by=104.0)
    assert median(counting, VIDEO) > 75.0


def test_a_withdrawn_prediction_counts_no_longer() -> None:
    """A prediction that is not polled any more says nothing about the curve."""
    model, clean = DurationModel(), DurationModel()
    for _ in range(50):
        model.observe_start(VIDEO)
        model.observe_running(VIDEO, before=0.0, age=300.0)
        model.censor(VIDEO, after=300.0)
    for each in (model, clean):
        feed(each, VIDEO, log_normal(100.0, 0.3), 30)
    assert model.survival(VIDEO) == clean.survival(VIDEO)


def test_a_provider_that_changes_its_speed_is_believed_once_the_window_has_turned_over() -> None:
    """Twice as slow: half way after half of the window, there after the whole of it."""
    model = DurationModel()
    feed(model, VIDEO, log_normal(50.0, 0.2), 1500)
    feed(model, VIDEO, log_normal(100.0, 0.2), 200)
    assert distance(model, VIDEO, above(100.0, 0.2)) > 0.3
    feed(model, VIDEO, log_normal(100.0, 0.2), SAVED)
    assert distance(model, VIDEO, above(100.0, 0.2)) < 0.07


def test_the_window_grows_with_what_is_in_flight() -> None:
    """Four times what is in flight, 500 at least, however many that is."""
    for running, kept in ((0, 500), (300, 1200), (10_000, 40_000)):
        history = History(GUESS, alpha=1.0)
        for _ in range(running):
            history.observe_start()
        for _ in range(41_000):
            history.append(100, 101)
        assert len(history.window) == kept
        assert len({id(interval) for interval in history.window}) == 1


def test_the_window_shrinks_by_a_few_completions_at_a_time() -> None:
    """When predictions are polled no more, the oldest completions leave with the next ones: no call takes long."""
    history = History(GUESS, alpha=1.0)
    for _ in range(1000):
        history.observe_start()
    for _ in range(4000):
        history.append(100, 101)
    for _ in range(1000):
        history.censor(0.0)
    for number in range(1, 1400):
        history.append(100, 101)
        assert len(history.window) == max(500, 4000 - 3 * number)


def test_the_curve_is_fitted_often_at_first_and_then_every_fifty() -> None:
    """At completions 1, 2, 3, then a quarter more, then 50 more; with many in flight a twentieth of them."""
    model, fits = DurationModel(), list[int]()
    for number in range(1, 1001):
        model.observe_start(VIDEO)
        if model.observe_completion(VIDEO, after=90.0, by=110.0):
            fits.append(number)
    assert [1, 2, 3, 4, 5, 6, 7, 8, 10, 12] == fits[:10]
    assert [b - a for a, b in pairwise(fits)][-5:] == [50] * 5
    history, due = History(GUESS, alpha=1.0), list[int]()
    for _ in range(5000):
        history.observe_start()
    for number in range(1, 3001):
        if history.observe_completion(0.0, 9.0, None):
            history.fit()
            due.append(number)
    assert due[-1] - due[-2] > 100


def test_new_work_starts_with_the_curve_of_its_relatives() -> None:
    """The nearest count most; another kind of output does not count."""
    model = DurationModel()
    assert median(model, OTHER) == pytest.approx(100.0, rel=0.03)
    feed(model, IMAGE, log_normal(5.0, 0.2), 40)
    feed(model, ("video", "apiinone", "x"), log_normal(300.0, 0.2), 40)
    assert median(model, ("video", "apiinone", "y")) == pytest.approx(300.0, rel=0.15)
    feed(model, VIDEO, log_normal(40.0, 0.2), 40)
    assert median(model, ("video", "gptproto", "kling-video-o1-std", "text-to-video", "15s")) == pytest.approx(
        40.0, rel=0.15
    )


def test_relatives_that_wait_for_their_first_completion_are_notified() -> None:
    """A completion changes its own curve, and those of relatives without completions."""
    model = DurationModel()
    model.observe_start(OTHER)
    model.observe_start(VIDEO)
    model.observe_start(IMAGE)
    assert model.observe_completion(VIDEO, after=9.0, by=11.0) == (VIDEO, OTHER)
    assert median(model, OTHER) < 70.0
    assert median(model, IMAGE) == pytest.approx(9.0, rel=0.03)


def test_own_completions_outweigh_relatives() -> None:
    """The curve of relatives counts for two predictions."""
    model = DurationModel()
    feed(model, VIDEO, log_normal(20.0, 0.2), 300)
    feed(model, OTHER, log_normal(200.0, 0.2), 60)
    assert median(model, OTHER) == pytest.approx(200.0, rel=0.1)


def test_reports_that_leave_out_the_queue_are_shifted() -> None:
    """A report never contradicts a poll: the interval is taken, until the shift has been found."""
    model, rng = DurationModel(), log_normal(20.0, 0.2)
    for _ in range(500):
        ran_for = rng()
        time = ran_for + 30.0
        model.observe_start(VIDEO)
        model.observe_running(VIDEO, before=0.0, age=time - 1.0)
        model.observe_completion(VIDEO, after=time - 1.0, by=time + 1.0, ran_for=ran_for)
    assert median(model, VIDEO) == pytest.approx(50.0, rel=0.05)


@pytest.mark.parametrize("ran_for", [0.0, -5.0, math.nan, math.inf])
def test_nonsense_in_a_report_is_no_report(ran_for: float) -> None:
    """A time that cannot be is left out, and the interval taken."""
    reported, unreported = DurationModel(), DurationModel()
    for model, report in ((reported, ran_for), (unreported, None)):
        model.observe_start(VIDEO)
        model.observe_completion(VIDEO, after=90.0, by=110.0, ran_for=report)
    assert reported.save() == unreported.save()


def test_some_first_polls_come_early_where_nothing_is_reported() -> None:
    """One or two in a hundred, at any scale between a quarter of a second and the check."""
    model, rng = DurationModel(), Random(5)
    polls = [model.exploration_age(VIDEO, 60.0, random=rng.random) for _ in range(10_000)]
    early = [poll for poll in polls if poll is not None]
    assert 100 < len(early) < 200
    assert all(0.25 <= poll <= 60.0 for poll in early)
    assert 0.3 < sum(poll < math.sqrt(0.25 * 60.0) for poll in early) / len(early) < 0.7
    assert model.exploration_age(VIDEO, 0.2, random=lambda: 0.0) is None
    feed(model, VIDEO, log_normal(50.0, 0.2), 1, reports=True)
    assert model.exploration_age(VIDEO, 60.0, random=lambda: 0.0) is None


def test_what_was_learned_starts_the_next_run_warm() -> None:
    """Saved as JSON, loaded, and saved again: the same; and the curve is about the same."""
    model = DurationModel()
    feed(model, VIDEO, log_normal(40.0, 0.3), 700)
    feed(model, OTHER, log_normal(80.0, 0.3), 20)
    feed(model, IMAGE, log_normal(5.0, 0.2), 10)
    model.observe_start(("image", "idle"))
    saved = json.loads(json.dumps(model.save()))
    loaded = DurationModel.load(saved)
    assert loaded.save() == saved
    for kind in (VIDEO, IMAGE):
        assert median(loaded, kind) == pytest.approx(median(model, kind), rel=0.05)
    assert distance(loaded, VIDEO, above(40.0, 0.3)) < 0.07
    feed(loaded, VIDEO, log_normal(40.0, 0.3), 10)


def test_nothing_learned_is_saved_as_nothing() -> None:
    """An idle model saves and loads, too."""
    assert DurationModel.load(DurationModel().save()).save() == DurationModel().save()


KIND: dict[str, Json] = {"path": ["video"], "window": [1, 2]}


@pytest.mark.parametrize(
    "saved",
    [
        None,
        [],
        "version 1",
        {},
        {"version": 1},
        {"version": 1, "kinds": {}},
        {"version": 2, "kinds": []},
        {"version": True, "kinds": []},
        {"version": 1, "kinds": [], "more": 1},
        {"version": 1, "kinds": [None]},
        {"version": 1, "kinds": [KIND, KIND]},
        {"version": 1, "kinds": [{"path": ["video"]}]},
        *(
            {"version": 1, "kinds": [{**KIND, **change}]}
            for change in (
                {"path": []},
                {"path": "video"},
                {"path": ["video", 5]},
                {"window": None},
                {"window": []},
                {"window": [1]},
                {"window": [2, 1]},
                {"window": [1, 1]},
                {"window": [-1, 1]},
                {"window": [1, BINS + 1]},
                {"window": [1.0, 2.0]},
                {"window": [True, 2]},
                {"window": ["1", "2"]},
                {"window": [1, 2] * (SAVED + 1)},
                {"more": 1},
            )
        ),
    ],
)
def test_garbage_is_not_learned(saved: Json) -> None:
    """What `save` has not made, `load` refuses."""
    with pytest.raises(InputError):
        DurationModel.load(saved)
