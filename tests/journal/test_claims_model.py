"""No order of steps of two workers, a provider and a person pays twice for a job, unless a guard is left out.

`claims_model` is searched exhaustively: every interleaving, with a crash or a pause before each step.
"""

from __future__ import annotations

import pytest

from .claims_model import GUARDS, Repeat, Rules, State, Trouble, Worker, canonical, search

LONG = pytest.mark.long


@pytest.mark.parametrize("repeat", Repeat)
def test_nothing_is_paid_twice_and_no_id_is_lost(repeat: Repeat) -> None:
    """Without a pause between check and byte no trouble can be reached, whatever a repetition does at the provider."""
    found, states = search(Rules(repeat))
    assert set() == found
    assert states > 10_000


@pytest.mark.long
@pytest.mark.parametrize("repeat", Repeat)
def test_nothing_is_paid_twice_however_often_workers_are_removed(repeat: Repeat) -> None:
    """As above, with two workers that are removed, and come back, in any order."""
    found, states = search(Rules(repeat, removals=2))
    assert set() == found
    assert states > 40_000


@pytest.mark.parametrize("repeat", [Repeat.BUYS_AGAIN, Repeat.REJECTED, pytest.param(Repeat.REPLAYED, marks=LONG)])
def test_a_retry_is_paid_once(repeat: Repeat) -> None:
    """A planned attempt is used up by one submission, whichever workers have the job, and however late they are."""
    found, states = search(Rules(repeat, retry=True))
    assert set() == found
    assert states > 10_000


def test_a_retry_needs_the_claim() -> None:
    """Where two workers may write that they submit the planned attempt, both do."""
    found, _ = search(Rules(Repeat.BUYS_AGAIN, retry=True, crashes=0, without="claim"), for_one=Trouble.PAID_TWICE)
    assert Trouble.PAID_TWICE in found


@pytest.mark.parametrize(
    ("repeat", "guard"),
    [
        (repeat, guard)
        for repeat in Repeat
        for guard in GUARDS
        if (guard != "window" or repeat is Repeat.REPLAYED) and (guard != "fence" or repeat is not Repeat.BUYS_AGAIN)
    ],
)
def test_each_guard_is_needed(repeat: Repeat, guard: str) -> None:
    """Without any one of them a job can be paid twice.

    Only a look-up writes about what another worker has sent: where there is none, the fence protects no payment.
    """
    found, _ = search(Rules(repeat, without=guard), for_one=Trouble.PAID_TWICE)
    assert Trouble.PAID_TWICE in found


@pytest.mark.parametrize("guard", ["claim", "fence"])
def test_ids_stay_by_the_rules_of_writing(guard: str) -> None:
    """Without the rules about who may write what, an id that was recorded can be lost, and with it a paid job."""
    found, _ = search(Rules(Repeat.REJECTED, without=guard), for_one=Trouble.ID_LOST)
    assert Trouble.ID_LOST in found


# What a pause between the check and the first byte can do.


@pytest.mark.parametrize("repeat", Repeat)
def test_a_pause_before_the_byte_needs_a_person_to_pay_twice(repeat: Repeat) -> None:
    """A worker that stands still just there, until its lease is over, sends although it was removed.

    The job is unconfirmed then, or looked up, so no other worker sends it. A person may: and pays twice.
    """
    found, _ = search(Rules(repeat, pauses=True), for_one=Trouble.PAID_TWICE)
    assert {Trouble.PAID_TWICE} == found


@pytest.mark.parametrize("repeat", [Repeat.BUYS_AGAIN, Repeat.REJECTED])
def test_a_pause_before_the_byte_does_nothing_by_itself(repeat: Repeat) -> None:
    """Where nobody resubmits it, a job is paid once, however long a worker stands still."""
    found, _ = search(Rules(repeat, pauses=True, person=False, removals=2))
    assert set() == found


def test_a_pause_before_a_repetition_has_to_outlast_the_window() -> None:
    """A repetition that leaves after the window of its idempotency key buys again; within it, it is replayed.

    The window is hours long, so this is a machine that sleeps between a check and the very next byte.
    """
    found, _ = search(Rules(Repeat.REPLAYED, pauses=True, person=False), for_one=Trouble.PAID_TWICE)
    assert {Trouble.PAID_TWICE} == found
    found, _ = search(Rules(Repeat.REPLAYED, pauses=True, person=False, window=False))
    assert set() == found


def test_states_that_differ_by_names_are_one() -> None:
    """Which of two workers it is, and what number it has, makes no difference."""
    one = State(workers=(Worker(epoch=7, at="done"), Worker(epoch=3)))
    other = State(workers=(Worker(epoch=1), Worker(epoch=4, at="done")))
    assert canonical(one) == canonical(other) != canonical(State(workers=(Worker(epoch=1), Worker(epoch=2))))
