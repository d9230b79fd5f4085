from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_async.errors import InputError
from kling_async.planning.market import Agenda, Market, floor_for


@dataclass(eq=False)
class Item:
    """What waits for a look: due this long after `since` at price 1, and with the root of the price."""

    gap: float
    since: float = 0.0
    gone: bool = False
    looks: int = 0


def due(item: Item, price: float) -> float | None:
    """Return when an item wants its next look."""
    return None if item.gone else item.since + item.gap * math.sqrt(price)


def agenda(*gaps: float, floor: float = 1.0) -> tuple[Agenda[Item], Market]:
    """Make a line of items with these gaps."""
    market = Market(floor=floor)
    line = Agenda[Item](market, due)
    for gap in gaps:
        line.add(Item(gap))
    return line, market


def test_the_price_rises_while_looks_are_late_and_falls_to_its_floor() -> None:
    """One per cent a token, never below the floor, never above the ceiling."""
    market = Market(floor=2.0)
    market.step(late=True)
    assert market.price == pytest.approx(2.02)
    assert not market.at_rest
    for _ in range(5):
        market.step(late=False)
    assert market.price == 2.0
    assert market.at_rest
    for _ in range(2000):
        market.step(late=True)
    assert market.overrun
    assert market.price == 400.0


def test_a_market_at_rest_follows_its_floor() -> None:
    """A new floor moves the price only where it stood at the old one, or below the new."""
    market = Market(floor=1.0)
    market.floor = 0.5
    assert (market.price, market.floor) == (0.5, 0.5)
    for _ in range(100):
        market.step(late=True)
    busy = market.price
    market.floor = 0.1
    assert market.price == busy
    market.floor = 3.0
    assert market.price == 3.0


def test_keys_are_stale_once_the_price_has_halved() -> None:
    """Keys made at twice the price are too late to be found."""
    market = Market(floor=1.0)
    for _ in range(200):
        market.step(late=True)
    assert not market.stale
    for _ in range(71):
        market.step(late=False)
    assert market.stale
    market.keyed()
    assert not market.stale


@pytest.mark.parametrize("floor", [0.0, -1.0, math.nan, math.inf])
def test_a_floor_is_a_price(floor: float) -> None:
    """A floor that is no positive number is refused."""
    with pytest.raises(InputError):
        Market(floor=floor)


def test_the_default_floor_goes_with_the_mean() -> None:
    """A 500th of the mean, within what the market knows."""
    assert floor_for(100.0) == 0.2
    assert floor_for(1e9) == 400.0


def test_the_earliest_due_comes_first() -> None:
    """A token goes to whom it is most due; whoever is gone is dropped on the way."""
    line, _ = agenda(5.0, 1.0, 3.0)
    assert len(line) == 3
    first = line.take(10.0)
    assert first is not None
    assert first.gap == 1.0
    line.rebuild()
    assert len(line) == 2


def test_nobody_in_line_needs_no_token() -> None:
    """An empty line takes nothing and wakes nobody."""
    line, _ = agenda()
    assert line.take(0.0) is None
    assert line.wake_at(0.0, token_for=0.1) is None


def test_who_is_gone_is_dropped() -> None:
    """What is no longer to be looked at leaves the line when it is met."""
    line, _ = agenda()
    gone, later = Item(1.0), Item(2.0)
    line.add(gone)
    line.add(later)
    gone.gone = True
    assert line.take(5.0) is later
    line.add(gone)
    assert len(line) == 0
    last = Item(1.0)
    line.add(last)
    last.gone = True
    line.rebuild()
    assert len(line) == 0


def test_a_token_is_left_unused_when_no_look_is_worth_the_floor() -> None:
    """Looks are never earlier than the user's price allows; the engine sleeps until the head is due."""
    line, market = agenda(5.0)
    assert line.take(4.9) is None
    assert market.at_rest
    assert line.wake_at(4.9, token_for=0.1) == 5.0
    assert line.wake_at(6.0, token_for=0.1) == 6.0
    assert line.take(5.0) is not None


def test_above_the_floor_every_token_is_acted_on() -> None:
    """Who is due at the floor is taken though the price says later, and the price falls meanwhile."""
    line, market = agenda(4.0, 8.0)
    for _ in range(60):
        market.step(late=True)
    high = market.price
    line.rebuild()
    assert line.take(1.0) is None
    assert market.price < high
    for now in (1.0, 1.05, 1.1):
        assert line.wake_at(now, token_for=0.1) == 1.1
    taken = line.take(4.5)
    assert taken is not None
    assert taken.gap == 4.0


def test_the_price_does_not_follow_what_every_timer_is_late_by() -> None:
    """A look is late beyond what a busy loop takes to wake up, or the price would never be back at its floor."""
    line, market = agenda(5.0, 6.0)
    assert line.take(5.015) is not None
    assert market.at_rest
    assert line.take(6.025) is not None
    assert not market.at_rest


def test_who_waits_for_a_fixed_age_does_not_keep_others_from_a_token() -> None:
    """A head that no price moves is passed over for one behind it that is worth a look at the floor."""
    line, market = agenda()
    fixed, eager = Item(0.0, since=5.0), Item(4.0)
    for _ in range(60):
        market.step(late=True)
    line.add(fixed)
    line.add(eager)
    assert line.take(4.5) is eager
    assert line.take(4.6) is None
    assert line.take(5.0) is fixed


def test_the_head_is_keyed_anew_at_the_price_of_now() -> None:
    """A key made at a low price yields to one that is due earlier now."""
    line, market = agenda()
    early, steady = Item(4.0), Item(0.0, since=5.0)
    line.add(early)
    line.add(steady)
    for _ in range(200):
        market.step(late=True)
    assert line.take(20.0) is steady
    assert line.take(20.0) is early


def test_in_overload_the_line_is_first_come() -> None:
    """At the ceiling keys stay as they are, so that nobody is overtaken for ever."""
    line, market = agenda()
    first, second = Item(4.0), Item(0.0, since=5.0)
    line.add(first)
    line.add(second)
    for _ in range(2000):
        market.step(late=True)
    assert line.take(1e6) is first


def test_stale_keys_are_made_anew_before_a_token_is_given() -> None:
    """Keys from a time of high prices do not keep looks late once the price has halved."""
    line, market = agenda()
    for _ in range(300):
        market.step(late=True)
    line.add(Item(1.0))
    assert line.take(0.0) is None
    late = line.wake_at(0.0, token_for=1e9)
    for _ in range(300):
        market.step(late=False)
    assert market.stale
    line.take(0.0)
    fresh = line.wake_at(0.0, token_for=1e9)
    assert late is not None
    assert fresh is not None
    assert fresh < late / 2


@settings(max_examples=30)
@given(st.integers(1, 40), st.floats(0.2, 10.0), st.integers(0, 2**32))
def test_nobody_starves(count: int, rate: float, seed: int) -> None:
    """However short the budget, everybody in line gets a look within a few turns of the line."""
    dice = Random(seed)
    line, _ = agenda()
    items = [Item(1.0 + 9.0 * dice.random()) for _ in range(count)]
    for item in items:
        line.add(item)
    now = 0.0
    # The longest wait at the ceiling is 20 times the longest gap; and all have to be served.
    while now < 2 * (200.0 + count / rate):
        item = line.take(now)
        if item is not None:
            item.since, item.looks = now, item.looks + 1
            line.add(item)
        now += 1.0 / rate
    assert all(item.looks for item in items)
