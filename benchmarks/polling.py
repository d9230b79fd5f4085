"""How close polls come to the optimum: `python benchmarks/polling.py [--quick] [--json FILE]`.

Everything runs in virtual time with seeded dice: no clock, no network, the same figures on every machine. What is
simulated are the package's own plan, market and learner; the truth is a known law, and a look sees what is finished.

The figures, each a median over seeds:

a. Mean detection delay of the plan over that of the fixed interval that polls as often, after 300 finished predictions.
   Learned from poll intervals alone or from reported times, at the default price, a 500th of the mean. Both delays are
   computed from the true law, not sampled.
b. Price x polls + delay of the plan, made from the law on the learner's grid, over the exact optimum on a grid of at
   least 8,000 ages. The worst of four prices, from mean/1000 to mean/50. No dice.
c. Realised cost of a learner that starts cold, with 50 in flight, over that of the optimal plan with the law known, on
   the same predictions in the order of submission. The first guess is wrong: a median of 30 s, whatever the law.
d. Mean detection delay under a cap of R polls a second over a lower bound that holds for every policy that does not
   see the future. Law known, price floor 0.01 s, counted after 5 means of warming up.
e. As d, but the laws are learned from nothing, by poll intervals only, early looks included.
f. Requests per prediction where one can ask for 20 ids, over those where each asks for one: with 10, 100 and 1,000
   always in flight, each law known, at the default price. Counted after as many as are in flight. In parentheses stands
   the ratio of the mean delays, which is to be at most 1.
g. Polls per prediction with webhooks over those without, on the same predictions: 50 in flight, each law learned from
   nothing, at the default price, with webhooks that take 0.2 s in the mean, or as long as is written, and of which
   none, one or five in a hundred are lost. Counted are all 1,000, those included by which the webhooks prove
   themselves. In parentheses stands the ratio of the mean delays, which is to be at most 1.

Lower bounds. V(price) = min(price x polls + delay) for one prediction, by dynamic programming on the fine grid. Every
policy has price x P + D >= V(price) for every price.

- Closed, N always in flight, a prediction starts when one is found: by Little's law P <= R (E[T] + D) / N, so
  D >= max( N/R - E[T],  max over price of (V(price) - price R E[T] / N) / (1 + price R / N) ).
  The first term: each prediction needs one poll at least.
- Open, classes c that arrive at rates l_c, as counted in the run, since a few per cent more wait much longer:
  sum l_c P_c <= R, so by weak duality D >= max over price of (sum l_c V_c(price) - price R) / sum l_c.

A ratio below 1 is the chance of a finite run: about 1 % in a full one, 5 % with --quick (one seed, a fifth as long).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))

from polling_laws import IMAGE, SIX, UNIFORM, VIDEO, Work, lognormal
from polling_world import Found, World

from kling_async.scheduling.polling.plan import PollPlan

NEVER = float("inf")


@dataclass(frozen=True)
class Row:
    """One line of the table: a ratio, the smaller the better; target and stretch are None where none is set."""

    figure: str
    what: str
    got: float
    target: float | None = None
    stretch: float | None = None
    spread: tuple[float, float] | None = None


def learned_plan(work: Work, seed: int, learning: str) -> PollPlan:
    """Return the plan after 300 finished predictions, 50 in flight."""
    world = World([work], None, None, learning, seed)
    world.run([(0.0, 0)] * 50, until=NEVER, refill=250)
    return PollPlan(world.learned(world.paths[0]))


def against_fixed(work: Work, seed: int, learning: str) -> float:
    """Return figure a for one seed."""
    plan = learned_plan(work, seed, learning)
    price = work.mean / 500
    looks, delay = work.looks_and_delay(lambda age: plan.next_check(age, price))
    return delay / work.fixed_delay(looks)


def against_optimum(work: Work) -> float:
    """Return figure b."""
    plan, worst = PollPlan(work.law), 0.0
    for part in (1000, 500, 200, 50):
        price = work.mean / part
        looks, delay = work.looks_and_delay(lambda age, price=price: plan.next_check(age, price))
        worst = max(worst, (price * looks + delay) / work.least_cost(price))
    return worst


def from_cold(work: Work, seed: int, learning: str, part: int) -> tuple[float, float]:
    """Return figure c for one seed: predictions 50 to 200, and 200 to 1000."""
    price, best = work.mean / part, PollPlan(work.law)
    world = World([work], None, price, learning, seed)
    found = sorted(world.run([(0.0, 0)] * 50, until=NEVER, refill=950), key=lambda each: each.serial)

    def least(takes: float) -> float:
        age, looks = 0.0, 0
        while age < takes:
            age, looks = best.next_check(age, price), looks + 1
        return price * looks + age - takes

    def ratio(some: Sequence[Found]) -> float:
        return sum(price * each.looks + each.delay for each in some) / sum(least(each.takes) for each in some)

    return ratio(found[50:200]), ratio(found[200:])


PRICES = [0.02 * 1.25**k for k in range(45)]


def closed_bound(work: Work, number: int, rate: float) -> float:
    """Return the least mean delay that any policy can have with `number` always in flight."""
    mean, each = work.mean, rate / number
    return max(
        number / rate - mean,
        *((work.least_cost(price) - price * each * mean) / (1 + price * each) for price in PRICES),
    )


def open_bound(rates: Mapping[Work, float], rate: float) -> float:
    """Return the least mean delay that any policy can have with these arrivals a second."""
    return max(
        (sum(each * work.least_cost(price) for work, each in rates.items()) - price * rate) / sum(rates.values())
        for price in PRICES
    )


def mean_delay(found: Sequence[Found], since: float) -> float:
    """Return the mean delay of what was found since then."""
    delays = [each.delay for each in found if each.found_at >= since]
    return sum(delays) / len(delays)


def closed_delay(work: Work, number: int, rate: float, seed: int, *, learning: str, means: int) -> float:
    """Return the mean delay with `number` always in flight."""
    world, dice = World([work], rate, 0.01, learning, seed), random.Random(seed)
    arrivals = [(dice.random() * work.mean, 0) for _ in range(number)]
    found = world.run(arrivals, until=(5 + means) * work.mean, refill=1 << 30)
    return mean_delay(found, 5 * work.mean)


def open_ratio(rates: Mapping[Work, float], rate: float, seed: int, *, learning: str, means: int) -> float:
    """Return the mean delay over the bound at the rates that came about, with predictions that arrive by chance."""
    works, dice = list(rates), random.Random(seed)
    world, longest = World(works, rate, 0.01, learning, seed), max(work.mean for work in works)
    end, arrivals = (5 + means) * longest, list[tuple[float, int]]()
    for kind, work in enumerate(works):
        at = dice.expovariate(rates[work])
        while at < end:
            arrivals.append((at, kind))
            at += dice.expovariate(rates[work])
    delay = mean_delay(world.run(arrivals, until=end), 5 * longest)
    came = [sum(kind == each and at >= 5 * longest for at, each in arrivals) for kind in range(len(works))]
    seconds = means * longest
    return delay / open_bound({work: count / seconds for work, count in zip(works, came, strict=True)}, rate)


SCENES: dict[str, tuple[Work, int, float]] = {
    "video, 1000 in flight, 20/s": (VIDEO, 1000, 20.0),
    "image, 100 in flight, 20/s": (IMAGE, 100, 20.0),
}
MIXES = {f"image 2/s and video 2/s, {rate}/s": float(rate) for rate in (10, 20, 40)}


def capped(scene: str, seed: int, learning: str, means: int) -> float:
    """Return figure d or e for one seed."""
    if scene in MIXES:
        return open_ratio({IMAGE: 2.0, VIDEO: 2.0}, MIXES[scene], seed, learning=learning, means=means)
    work, number, rate = SCENES[scene]
    # The short law gets as many predictions to be counted as the long one.
    delay = closed_delay(work, number, rate, seed, learning=learning, means=means * 8 if work is IMAGE else means)
    return delay / closed_bound(work, number, rate)


def sharing(work: Work, number: int, seed: int, shared: int, count: int) -> tuple[float, float]:
    """Return the requests per prediction and the mean delay with `number` always in flight."""
    dice, world = random.Random(seed), World([work], None, None, "known", seed, shared)
    arrivals = [(dice.random() * work.mean, 0) for _ in range(number)]
    world.run(arrivals, until=NEVER, refill=number + count)
    delays = [each.delay for each in world.found[number:]]
    return world.requests / len(world.found), sum(delays) / len(delays)


FIXED = {"uniform": (UNIFORM, 0.35, 0.22), "lognormal 0.5": (lognormal(10, 0.5), 0.85, 0.76)}
LAWS = {work.name: work for work in (*SIX, UNIFORM, VIDEO, IMAGE)}


def task_a(name: str, seed: int, learning: str) -> float:
    """Return figure a for one seed, by the name of the law: tasks travel to other processes, laws do not."""
    return against_fixed(FIXED[name][0], seed, learning)


def task_c(name: str, seed: int, learning: str, part: int) -> tuple[float, float]:
    """Return figure c for one seed, by the name of the law."""
    return from_cold(LAWS[name], seed, learning, part)


def task_f(name: str, number: int, seed: int, count: int) -> tuple[float, float]:
    """Return figure f for one seed, by the name of the law, and the ratio of the delays."""
    (many, late), (single, early) = (sharing(LAWS[name], number, seed, shared, count) for shared in (20, 1))
    return many / single, late / early


def hooked(name: str, seed: int, lost: float | None, count: int, takes: float) -> tuple[float, float]:
    """Return the polls per prediction and the mean delay, by the name of the law."""
    world = World([LAWS[name]], None, None, "intervals", seed, lost=lost, hook_seconds=takes)
    world.run([(0.0, 0)] * 50, until=NEVER, refill=count - 50)
    return world.looks / len(world.found), sum(each.delay for each in world.found) / len(world.found)


def task_g(name: str, seed: int, lost: float, count: int, takes: float) -> tuple[float, float]:
    """Return figure g for one seed, by the name of the law, and the ratio of the delays."""
    (few, late), (many, early) = (hooked(name, seed, share, count, takes) for share in (lost, None))
    return few / many, late / early


def summary(figure: str, what: str, values: Sequence[float], goals: tuple[float, float] | None) -> Row:
    """Make a row of the median and the range over seeds."""
    target, stretch = goals or (None, None)
    return Row(figure, what, median(values), target, stretch, (min(values), max(values)))


def shared_figures(run: Callable[..., list], *, seeds: int, quick: bool) -> Iterator[Row]:
    """Compute figure f."""
    for name in ("lognormal", "bimodal"):
        for number in (100,) if quick else (10, 100, 1000):
            got = run(task_f, [(name, number, seed, 600 if quick else 3000) for seed in range(seeds)])
            delay = median(each for _, each in got)
            what = f"{name}, {number} in flight (delay {delay:.2f})"
            yield summary("f", what, [each for each, _ in got], (0.067, 0.059) if number > 10 else None)


def webhook_figures(run: Callable[..., list], *, seeds: int, quick: bool) -> Iterator[Row]:
    """Compute figure g."""
    for name in ("video", "image") if quick else ("video", "image", "lognormal", "bimodal", "heavy tail"):
        for lost, takes in ((0.0, 0.2), (0.01, 0.2), (0.05, 0.2), (0.0, 3.0), (1.0, 0.2)):
            got = run(task_g, [(name, seed, lost, 400 if quick else 1000, takes) for seed in range(seeds)])
            delay = median(each for _, each in got)
            what = f"{name}, {lost:.0%} lost, {takes:g} s (delay {delay:.2f})"
            goals = (0.3, 0.2) if lost <= 0.01 and takes < 1.0 else None
            yield summary("g", what, [each for each, _ in got], goals)


def figures(run: Callable[..., list], *, seeds: int, means: int, quick: bool) -> Iterator[Row]:
    """Compute all figures; `run(task, cases)` returns the results of `task(*case)` in order."""
    kinds = ("intervals",) if quick else ("intervals", "reported")
    for learning in kinds:
        for name, (_, *goals) in FIXED.items():
            got = run(task_a, [(name, seed, learning) for seed in range(seeds)])
            yield summary("a", f"{name}, {learning}", got, (goals[0], goals[1]))
    for work in SIX:
        yield Row("b", work.name, against_optimum(work), 1.02, 1.005)
    yield Row("b", f"(additional) {UNIFORM.name}", against_optimum(UNIFORM))
    names = ["lognormal", "bimodal"] if quick else list(LAWS)
    for learning in kinds:
        for part in (500,) if quick else (500, 100):
            for name in names:
                got = run(task_c, [(name, seed, learning, part) for seed in range(seeds)])
                what = f"{name}, {learning}, price mean/{part}"
                yield summary("c", f"50-200: {what}", [early for early, _ in got], (1.15, 1.05))
                yield summary("c", f"200-1000: {what}", [late for _, late in got], (1.06, 1.02))
    yield from shared_figures(run, seeds=seeds, quick=quick)
    yield from webhook_figures(run, seeds=seeds, quick=quick)
    for figure, learning, goals in (("d", "known", (1.05, 1.02)), ("e", "intervals", (1.10, 1.04))):
        for scene in (*SCENES, *MIXES):
            got = run(capped, [(scene, seed, learning, means) for seed in range(seeds)])
            yield summary(figure, scene, got, goals)


def show(row: Row) -> str:
    """Return a row as a line of the table."""
    verdict = ""
    if row.target is not None and row.stretch is not None:
        verdict = "stretch" if row.got <= row.stretch else "met" if row.got <= row.target else "MISSED"
    goals = f"{row.target or '':>6} {row.stretch or '':>6}"
    spread = f"{row.spread[0]:.3f}-{row.spread[1]:.3f}" if row.spread else ""
    return f"{row.figure} {row.what:58} {goals} {row.got:7.3f}  {spread:12} {verdict}"


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description="How close polls come to the optimum, in virtual time.")
    parser.add_argument("--quick", action="store_true", help="fewer seeds and laws, in less than 20 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--seeds", type=int, default=None, help="how many seeds (9, or 1 if quick)")
    options = parser.parse_args()
    seeds, means = options.seeds or (1 if options.quick else 9), 4 if options.quick else 20
    began, rows = time.perf_counter(), list[Row]()
    print(f"  {'figure':58} {'target':>6} {'stretch':>6} {'got':>7}  range over {seeds} seed(s)")
    with ProcessPoolExecutor() as pool:

        def run(task: Callable[..., object], cases: list[tuple[object, ...]]) -> list:
            return list(pool.map(task, *zip(*cases, strict=True)))

        for row in figures(run, seeds=seeds, means=means, quick=options.quick):
            rows.append(row)
            print(show(row), flush=True)
    print(f"{time.perf_counter() - began:.0f} s")
    if options.json:
        document = {"benchmark": "polling", "quick": options.quick, "seeds": seeds, "figures": [*map(asdict, rows)]}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
