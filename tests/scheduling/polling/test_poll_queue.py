from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_async.errors import InputError
from kling_async.scheduling.polling.poll_queue import PollQueue
from kling_async.scheduling.polling.shadow_price import ShadowPrice, floor_for


@dataclass(eq=False)
class Item:
    """An item that waits for a poll: due this long after `since` at price 1, and with the root of the price."""

    gap: float
    since: float = 0.0
    gone: bool = False
    polls: int = 0


def due(item: Item, price: float) -> float | None:
    """Return when an item wants its next poll."""
    return None if item.gone else item.since + item.gap * math.sqrt(price)


def move(price: ShadowPrice, tokens: int, *, late: bool) -> None:
    """Move a price by so many tokens, one after the other, up to time 0."""
    for token in range(tokens + 1):
        price.move((token - tokens) * price.token_seconds, late=late if token else False)


def queue_of(*gaps: float, floor: float = 1.0) -> tuple[PollQueue[Item], ShadowPrice]:
    """Make a queue of items with these gaps."""
    price = ShadowPrice(floor=floor, token_seconds=0.1)
    queue = PollQueue[Item](price, due)
    for gap in gaps:
        queue.add(Item(gap))
    return queue, price


def test_the_price_rises_while_polls_are_late_and_falls_to_its_floor() -> None:
    """One per cent a token, never below the floor, never above the ceiling."""
    price = ShadowPrice(floor=2.0)
    price.move(0.0, late=False)
    price.move(0.01, late=True)
    assert price.price == pytest.approx(2.02)
    assert not price.at_floor
    price.move(0.02, late=False)
    assert price.price == pytest.approx(2.0)
    price.move(0.05, late=False)
    assert price.price == 2.0
    assert price.at_floor
    move(price, 2000, late=True)
    assert price.at_ceiling
    assert price.price == 400.0


@given(st.lists(st.floats(0.0, 40.0), max_size=20), st.booleans())
def test_the_price_goes_by_the_time_of_tokens_and_not_by_the_questions(times: list[float], late: bool) -> None:
    """However often and unevenly it is asked to move, it moves by what was earned meanwhile."""
    often, once = (ShadowPrice(floor=1e-3, token_seconds=5.0) for _ in range(2))
    for price in (often, once):
        price.price = 1.0
        price.move(0.0, late=False)
        price.price = 1.0
    for now in sorted(times):
        often.move(now, late=late)
    for price in (often, once):
        price.move(40.0, late=late)
        price.move(40.0, late=late)
    assert often.price == pytest.approx(once.price)
    assert once.price == pytest.approx(1.01 ** (8.0 if late else -8.0))


@given(st.integers(1, 10**6), st.booleans())
def test_the_price_of_a_long_queue_moves_less(items: int, late: bool) -> None:
    """Above 1000 items a token moves the price in proportion less, since each is polled once in more tokens."""
    price = ShadowPrice(floor=1e-3, token_seconds=1.0)
    price.move(0.0, late=False)
    price.price = 1.0
    price.move(10.0, late=late, items=items)
    tokens = 10.0 * min(1.0, 1000.0 / items)
    assert price.price == pytest.approx(1.01 ** (tokens if late else -tokens))


def test_a_pause_does_not_make_polls_dear() -> None:
    """After a silence in which nothing could be asked the price rises by a sixth at most, and may fall to its floor."""
    price = ShadowPrice(floor=1.0)
    price.move(0.0, late=False)
    price.move(1000.0, late=True)
    assert 1.01 < price.price < 1.2
    price.move(1e9, late=False)
    assert price.at_floor


def test_a_price_at_its_floor_follows_it() -> None:
    """A new floor moves the price only where it stood at the old one, or below the new."""
    price = ShadowPrice(floor=1.0)
    price.floor = 0.5
    assert (price.price, price.floor) == (0.5, 0.5)
    move(price, 100, late=True)
    busy = price.price
    price.floor = 0.1
    assert price.price == busy
    price.floor = 3.0
    assert price.price == 3.0


def test_keys_are_stale_once_the_price_has_halved() -> None:
    """Keys made at twice the price are too late to be found."""
    price = ShadowPrice(floor=1.0)
    move(price, 200, late=True)
    assert not price.stale
    move(price, 71, late=False)
    assert price.stale
    price.mark_rekeyed()
    assert not price.stale


@pytest.mark.parametrize("floor", [0.0, -1.0, math.nan, math.inf])
def test_a_floor_is_a_price(floor: float) -> None:
    """A floor that is no positive number is refused."""
    with pytest.raises(InputError):
        ShadowPrice(floor=floor)


def test_the_default_floor_goes_with_the_mean() -> None:
    """A 500th of the mean, up to the ceiling."""
    assert floor_for(100.0) == 0.2
    assert floor_for(1e9) == 400.0


def test_the_earliest_due_comes_first() -> None:
    """A token goes to the item that is due first; an item that is gone is dropped on the way."""
    queue, _ = queue_of(5.0, 1.0, 3.0)
    assert len(queue) == 3
    first = queue.take(10.0)
    assert first is not None
    assert first.gap == 1.0
    queue.rekey_all()
    assert len(queue) == 2


def test_an_empty_queue_needs_no_token() -> None:
    """An empty queue returns no item and no time."""
    queue, _ = queue_of()
    assert queue.take(0.0) is None
    assert queue.wake_at(0.0) is None


def test_an_item_that_is_gone_is_dropped() -> None:
    """What is no longer to be polled leaves the queue when it is met."""
    queue, _ = queue_of()
    gone, later = Item(1.0), Item(2.0)
    queue.add(gone)
    queue.add(later)
    gone.gone = True
    assert queue.take(5.0) is later
    queue.add(gone)
    assert len(queue) == 0
    last = Item(1.0)
    queue.add(last)
    last.gone = True
    queue.rekey_all()
    assert len(queue) == 0


def test_a_token_is_left_unused_when_no_poll_is_due_at_the_floor() -> None:
    """Looks are never earlier than the user's price allows; the engine sleeps until the head is due."""
    queue, price = queue_of(5.0)
    assert queue.take(4.9) is None
    assert price.at_floor
    assert queue.wake_at(4.9) == 5.0
    assert queue.wake_at(6.0) == 6.0
    assert queue.take(5.0) is not None


def test_above_the_floor_every_token_is_acted_on() -> None:
    """Who is due at the floor is taken though the price says later, and the price falls meanwhile."""
    queue, price = queue_of(4.0, 8.0)
    move(price, 60, late=True)
    high = price.price
    queue.rekey_all()
    assert queue.take(1.0) is None
    assert price.price < high
    for now in (1.0, 1.05, 1.1):
        assert queue.wake_at(now) == 1.1
    taken = queue.take(4.5)
    assert taken is not None
    assert taken.gap == 4.0


def test_the_price_does_not_follow_what_every_timer_is_late_by() -> None:
    """A poll is late beyond what a busy loop takes to wake up, or the price would never be back at its floor."""
    queue, price = queue_of(5.0, 6.0)
    assert queue.take(5.015) is not None
    assert price.at_floor
    assert queue.take(6.025) is not None
    assert not price.at_floor


def test_an_item_with_a_fixed_time_does_not_keep_others_from_a_token() -> None:
    """A head that no price moves is passed over for one behind it that is due at the floor."""
    queue, price = queue_of()
    fixed, eager = Item(0.0, since=5.0), Item(4.0)
    move(price, 60, late=True)
    queue.add(fixed)
    queue.add(eager)
    assert queue.take(4.5) is eager
    assert queue.take(4.6) is None
    assert queue.take(5.0) is fixed


def test_the_head_is_keyed_anew_at_the_price_of_now() -> None:
    """A key made at a low price yields to one that is due earlier now."""
    queue, price = queue_of()
    early, steady = Item(4.0), Item(0.0, since=5.0)
    queue.add(early)
    queue.add(steady)
    move(price, 200, late=True)
    assert queue.take(20.0) is steady
    assert queue.take(20.0) is early


@pytest.mark.parametrize("change", ["the price has risen", "the price has halved", "a curve has changed", "all gone"])
def test_no_call_rekeys_more_than_a_few_items(change: str) -> None:
    """Whatever happens to 5000 items, a call computes 600 due times at most, and those due first are taken first."""
    price, calls, speed = ShadowPrice(floor=1.0, token_seconds=0.1), 0, 1.0

    def counted(item: Item, at: float) -> float | None:
        nonlocal calls
        calls += 1
        at = due(item, at * speed) or 0.0
        return None if item.gone else at

    if change == "the price has halved":
        move(price, 2000, late=True)
    queue = PollQueue[Item](price, counted)
    items = [Item(100.0 + number / 1000.0) for number in range(5000)]
    for item in items:
        queue.add(item)
    move(price, 100, late=change == "the price has risen")
    if change == "a curve has changed":
        speed, calls = 0.01, 0
        queue.rekey_all()
        assert calls <= 600
    for item in items if change == "all gone" else ():
        item.gone = True
    taken, now = list[Item](), 90.0
    for _ in range(1000):
        calls = 0
        item = queue.take(now)
        taken += [] if item is None else [item]
        assert calls <= 600
        now += 0.1
        if len(taken) == 100:
            break
    assert len(queue) == (0 if change == "all gone" else 4900)
    if change != "all gone":
        assert max(item.gap for item in taken) < 103.0


def test_a_rekeyed_item_is_found_while_others_wait_for_it() -> None:
    """A queue that is rekeyed bit by bit gives out each item once, and asks for tokens until it is done."""
    queue, price = queue_of(*(1000.0 + number for number in range(2000)))
    queue.rekey_all()
    assert queue.wake_at(0.0) == 0.0
    queue.rekey_all()
    for number in range(100):
        assert queue.take(number * 0.1) is None
    assert queue.wake_at(10.0) == 1000.0
    assert price.at_floor
    taken = [queue.take(1e6) for _ in range(2000)]
    assert len({id(item) for item in taken if item is not None}) == 2000
    assert queue.take(1e6) is None


def test_in_overload_the_queue_is_first_come() -> None:
    """At the ceiling keys stay as they are, so that no item is overtaken forever."""
    queue, price = queue_of()
    first, second = Item(4.0), Item(0.0, since=5.0)
    queue.add(first)
    queue.add(second)
    move(price, 2000, late=True)
    assert queue.take(1e6) is first


def test_stale_keys_are_made_anew_before_a_token_is_given() -> None:
    """Keys from a time of high prices do not keep polls late once the price has halved."""
    queue, price = queue_of()
    price.token_seconds = 1e9
    move(price, 300, late=True)
    queue.add(Item(1.0))
    assert queue.take(0.0) is None
    late = queue.wake_at(0.0)
    move(price, 300, late=False)
    assert price.stale
    queue.take(0.0)
    fresh = queue.wake_at(0.0)
    assert late is not None
    assert fresh is not None
    assert fresh < late / 2


@settings(max_examples=30)
@given(st.integers(1, 40), st.floats(0.2, 10.0), st.integers(0, 2**32))
def test_none_starves(count: int, rate: float, seed: int) -> None:
    """However short the budget, each item gets a poll within a few turns of the queue."""
    rng = Random(seed)
    queue, _ = queue_of()
    items = [Item(1.0 + 9.0 * rng.random()) for _ in range(count)]
    for item in items:
        queue.add(item)
    now = 0.0
    # The longest wait at the ceiling is 20 times the longest gap; and all have to be served.
    while now < 2 * (200.0 + count / rate):
        item = queue.take(now)
        if item is not None:
            item.since, item.polls = now, item.polls + 1
            queue.add(item)
        now += 1.0 / rate
    assert all(item.polls for item in items)
