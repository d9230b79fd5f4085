"""Compare the models that a provider lists now with those of its table. It informs; the table stays as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import pairwise
from typing import Final

from attrs import field, frozen

from ..types.errors import UnexpectedReply
from ..types.formatting import format_price, format_price_range
from ..types.http import HttpResponse
from .codec.strict_json import excerpt
from .spec import Price

__all__ = [
    "MAX_VALUES",
    "Difference",
    "KnownModel",
    "ListedModel",
    "allowed_between",
    "compare",
    "differences",
]


@frozen(kw_only=True)
class ListedModel:
    """A model as a provider lists it.

    Attributes:
        id: its id there.
        fields: the fields of a submission's body; None if its schema is not told.
        values: the values that a field allows, as texts in lower case; a field that allows any is left out.
        price: US dollars of the input with every field at its default; None if it is not told.
        amounts: US dollars of all its prices, of whatever unit; empty if they are not told.
    """

    id: str
    fields: frozenset[str] | None = None
    values: Mapping[str, frozenset[str]] = field(factory=dict[str, frozenset[str]])
    price: Decimal | None = None
    amounts: frozenset[Decimal] = frozenset()


@frozen(kw_only=True)
class KnownModel:
    """What a table says of a model that has an id of its own at the provider.

    Attributes:
        fields: the fields that are sent for fields of an input.
        extras: fields that may be sent beside them; tables do not say which scenes of a model have them.
        values: the values that a field allows, as in a list.
        price: the published price of the input with every field at its default; None if none is published.
        rates: the published prices by their units.
    """

    fields: frozenset[str] = frozenset()
    extras: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = field(factory=dict[str, frozenset[str]])
    price: Price | None = None
    rates: tuple[Price, ...] = ()


@frozen
class Difference:
    """One difference between the list and the table.

    Attributes:
        model: the id of the model at the provider.
        what: what differs, in a few words.
    """

    model: str
    what: str


def compare(
    known: Mapping[str, KnownModel], listed: Sequence[ListedModel], responses: Sequence[HttpResponse], *, provider: str
) -> tuple[Difference, ...]:
    """Return how the list in some responses differs from a table.

    Raises:
        UnexpectedReply: it lists no model of Kling, which does not mean that all of them are gone.
    """
    if not listed:
        last = responses[-1]
        problem = "The list has no model of Kling"
        raise UnexpectedReply(problem, provider=provider, http_status=last.status, excerpt=excerpt(last))
    return differences(known, listed)


def differences(known: Mapping[str, KnownModel], listed: Iterable[ListedModel]) -> tuple[Difference, ...]:
    """Return how a list differs from a table, by the id of the model."""
    by_id = {one.id: one for one in listed}
    found = [Difference(id, "in the table, and not listed") for id in known.keys() - by_id.keys()]
    for id, one in by_id.items():
        if id in known:
            found += [Difference(id, what) for what in _changes(known[id], one)]
        else:
            price = "" if one.price is None else f", from {format_price(one.price)}"
            found.append(Difference(id, f"listed{price}, and not in the table"))
    return tuple(sorted(found, key=lambda one: one.model))


def allowed_between(low: int, high: int) -> frozenset[str]:
    """Return the whole numbers from one to another as allowed values; none, which is any, where there are too many."""
    return frozenset(map(str, range(low, high + 1))) if high - low < MAX_VALUES else frozenset()


MAX_VALUES: Final = 64
"""Maximum number of values of a field that are compared one by one."""


def _changes(known: KnownModel, listed: ListedModel) -> Iterator[str]:
    if listed.fields is not None:
        if more := listed.fields - known.fields - known.extras:
            yield f"takes fields that the table lacks: {', '.join(sorted(more))}"
        if fewer := known.fields - listed.fields:
            yield f"lacks fields that the table has: {', '.join(sorted(fewer))}"
    for name in sorted(known.values.keys() & listed.values.keys()):
        if known.values[name] != listed.values[name]:
            yield f"{name} allows {_text(listed.values[name])}, and {_text(known.values[name])} by the table"
    yield from _price_changes(known, listed)


def _price_changes(known: KnownModel, listed: ListedModel) -> Iterator[str]:
    if listed.price is not None:
        if known.price is None:
            yield f"has a price, {format_price(listed.price)}, where the table has none"
        elif not known.price.low <= listed.price <= known.price.high:
            own = format_price_range(known.price.low, known.price.high)
            yield f"costs {format_price(listed.price)}, and {own} by the table"
    if listed.amounts:
        named = ", ".join(map(format_price, sorted(listed.amounts)))
        # A range is what a table makes of a price whose unit it cannot count.
        wrong = [rate for rate in known.rates if rate.low == rate.high and rate.low not in listed.amounts]
        if not known.rates:
            yield f"names prices, {named}, where the table has none"
        elif wrong:
            yield f"names the prices {named}, and not {', '.join(map(str, wrong))} of the table"


def _text(values: AbstractSet[str]) -> str:
    """Return values in words; whole numbers without a gap are a range."""
    ordered = sorted(values, key=lambda one: (len(one), one))
    is_range = len(ordered) > 2 and all(re.fullmatch("[0-9]{1,6}", one) for one in ordered)
    if is_range and all(int(b) - int(a) == 1 for a, b in pairwise(ordered)):
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(ordered) or "nothing"
