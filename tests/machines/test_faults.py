"""Everything fails at once: workers, machines, connections, a clock and the database; nothing is paid twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve
from PIL import Image

pytest.importorskip("dbos")

from kling_async.testing import Fixed, Sandbox

from ..postgres import PostgresServer
from .faulty_machines import MAX_SUBMITTING, PRICE, FaultyMachines, Plan, most_open, over_rate
from .test_workers import charges, enqueue, jobs, outcomes, statuses
from .workers import Machines

SMALL = Plan(
    jobs=60,
    workers=3,
    rate=4,
    slots=10,
    lease=3,
    faults=("strike", "cut", "lose", "database", "kill", "pause"),
    pauses=(0.3, 0.8),
)
LONG = Plan(
    jobs=400,
    workers=4,
    rate=3,
    slots=20,
    lease=5,
    faults=(
        *("kill", "strike", "kill", "strike", "cut", "kill", "strike", "database", "kill", "strike", "kill", "lose"),
        *("kill", "strike", "kill", "strike", "pause", "kill", "strike", "cut", "kill", "database", "kill"),
        *("strike", "kill", "cut", "kill", "strike"),
    ),
    pauses=(2.0, 5.0),
)
assert LONG.faults.count("kill") + LONG.faults.count("strike") >= 20


@contextmanager
def ran(postgres: PostgresServer, folder: Path, plan: Plan, *, seconds: float) -> Iterator[FaultyMachines]:
    """Run the jobs of a plan to their end, while what it says fails; three quarters of them are paid for at first."""
    if not postgres.is_ours:
        pytest.skip("the server that was given is not to be killed")
    sandbox = Sandbox(strict=True, image_latency=Fixed(seconds))
    with Machines.running(postgres.url(postgres.database()), folder, sandbox) as there:
        max_cost = PRICE * (plan.jobs * 3 // 4)
        enqueue(there, jobs(plan.jobs), max_cost=max_cost, prices={"kling-image-o1": PRICE})
        machines = FaultyMachines(there, plan, postgres)
        machines.start()
        machines.fail()
        machines.finish(within=60.0 + 2.0 * plan.jobs)
        yield machines


def is_whole(path: Path) -> bool:
    """Return whether an image can be read to its end."""
    with Image.open(path) as image:
        image.load()
    return True


@pytest.mark.parametrize(
    ("plan", "seconds"),
    [
        pytest.param(SMALL, 1.0, id="small"),
        pytest.param(LONG, 5.0, id="long", marks=[pytest.mark.long, pytest.mark.timeout(1800)]),
    ],
)
def test_everything_fails(postgres: PostgresServer, tmp_path: Path, plan: Plan, seconds: float) -> None:
    """G18: no job is paid twice, each ends, and rate, slots and budget hold over all workers, whatever fails."""
    with ran(postgres, tmp_path, plan, seconds=seconds) as run:
        there, given = run.there, jobs(plan.jobs)
        found = outcomes(there)
        ended = statuses(there)
    ok = [outcome for outcome in found if outcome.ok]
    counts = f"{run.killed} killed, {run.struck} of them struck, {run.ended} ended by themselves, {run.cuts} cut"
    told = f"{ended}, {run.sandbox.submits} sent, {counts}"
    assert {job.key for job in given} == {outcome.job.key for outcome in found}
    assert charges(there, given) <= {0, 1}, told
    assert {1} == charges(there, [outcome.job for outcome in ok]), told
    assert {"succeeded": len(ok), "unconfirmed": plan.jobs - len(ok)} == {"unconfirmed": 0} | ended
    assert plan.jobs - len(ok) <= MAX_SUBMITTING * (run.killed + run.ended + plan.faults.count("pause")), told
    assert run.last_at < plan.jobs, told
    assert plan.faults.count("kill") + plan.faults.count("strike") + 1 == run.killed
    assert run.struck == plan.faults.count("strike") <= plan.jobs - len(ok), told
    assert run.cuts >= 1
    assert_limits(run)
    names = Counter(path for outcome in ok for path in outcome.files)
    assert {1} == set(names.values())
    assert sorted(names) == sorted((tmp_path / "out").iterdir())
    assert all(is_whole(path) for path in (tmp_path / "out").iterdir())


def assert_limits(run: FaultyMachines) -> None:
    """Assert that the provider has seen no more than rate, slots and budget allow."""
    plan, sandbox = run.plan, run.sandbox
    times = [task.at for task in sandbox.tasks.values()]
    assert over_rate(times, rate=plan.rate, burst=plan.rate) <= run.stood_still
    assert most_open(sandbox) <= plan.slots
    assert run.paid_within is not None
    assert run.paid_within <= PRICE * (plan.jobs * 3 // 4)
    assert PRICE * sandbox.billed() <= PRICE * plan.jobs


@pytest.mark.long
def test_without_the_gate_limits_are_passed(postgres: PostgresServer, tmp_path: Path) -> None:
    """Workers that grant themselves what they ask for pass the slots, which is noticed here."""
    plan = evolve(SMALL, faults=(), without="gate", rate=20)
    with ran(postgres, tmp_path, plan, seconds=3.0) as run:
        assert most_open(run.sandbox) > plan.slots


@pytest.mark.long
def test_without_a_journal_jobs_are_paid_twice(postgres: PostgresServer, tmp_path: Path) -> None:
    """Workers that keep no journal pay twice when they are killed, which is noticed here."""
    plan = evolve(SMALL, faults=("kill",) * 4, without="journal")
    with ran(postgres, tmp_path, plan, seconds=1.0) as run:
        assert max(charges(run.there, jobs(plan.jobs))) > 1


def test_a_schedule_within_the_limits_is_told_from_one_beyond() -> None:
    """The counts of windows and of open jobs notice one submission too many."""
    assert over_rate([0.0, 0.0, 1.0], rate=1.0, burst=2) <= 0.0
    assert over_rate([0.0] * 5, rate=1.0, burst=2) == 1.0
    sandbox = Sandbox()
    assert most_open(sandbox) == 0
