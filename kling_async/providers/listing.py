"""Compare the models that a provider lists now with those of its table. It informs; the table stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from attrs import frozen

from ..types.errors import UnexpectedReply
from ..types.formatting import format_price, format_price_range
from ..types.http import HttpResponse
from .codec.strict_json import excerpt
from .spec import Price

__all__ = ["Difference", "KnownModel", "ListedModel", "compare", "differences"]


@frozen(kw_only=True)
class ListedModel:
    """A model as a provider lists it.

    Attributes:
        id: its id there.
        fields: the fields of a submission's body; None if its schema is not told.
        price: US dollars of the input with every field at its default; None if it is not told.
    """

    id: str
    fields: frozenset[str] | None = None
    price: Decimal | None = None


@frozen(kw_only=True)
class KnownModel:
    """What a table says of a model that has an id of its own at the provider.

    Attributes:
        fields: the fields that are sent for fields of an input.
        extras: fields that may be sent beside them; tables do not say which scenes of a model have them.
        price: the published price of the input with every field at its default; None if none is published.
    """

    fields: frozenset[str]
    extras: frozenset[str] = frozenset()
    price: Price | None = None


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
    known: Mapping[str, KnownModel], listed: Sequence[ListedModel], response: HttpResponse, *, provider: str
) -> tuple[Difference, ...]:
    """Return how the list in a response differs from a table.

    Raises:
        UnexpectedReply: it lists no model of Kling, which does not mean that all of them are gone.
    """
    if not listed:
        problem = "The list has no model of Kling"
        raise UnexpectedReply(problem, provider=provider, http_status=response.status, excerpt=excerpt(response))
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


def _changes(known: KnownModel, listed: ListedModel) -> Iterator[str]:
    if listed.fields is not None:
        if more := listed.fields - known.fields - known.extras:
            yield f"takes fields that the table lacks: {', '.join(sorted(more))}"
        if fewer := known.fields - listed.fields:
            yield f"lacks fields that the table has: {', '.join(sorted(fewer))}"
    if listed.price is None:
        return
    if known.price is None:
        yield f"has a price, {format_price(listed.price)}, where the table has none"
    elif not known.price.low <= listed.price <= known.price.high:
        own = format_price_range(known.price.low, known.price.high)
        yield f"costs {format_price(listed.price)}, and {own} by the table"
