"""Requests that are about no prediction and charge nothing: uploads, the price of an input, the balance, the models."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input
from ..types.media_values import MediaFile
from ..types.sources import Source
from ..types.uploads import UploadRequest, UploadTicket
from .catalogue import Catalogue
from .listing import Difference
from .spec import Price

__all__ = ["Queries", "live_price", "parse_dollars"]

_MAX_DOLLARS: Final = 1_000_000_000


class Queries(Catalogue):
    """What a provider can be asked for free; nothing, unless an adapter says how.

    Attributes:
        listing_origin: the origin of public pages about its models, which are asked for without the API key; empty if
            the list is at its API.
        upload_origin: the origin of its uploads, where that is another one than of its API.
        upload_seconds: seconds for which an uploaded content is kept; None where no page says it.
    """

    listing_origin: ClassVar[str] = ""
    upload_origin: ClassVar[str | None] = None
    upload_seconds: ClassVar[float | None] = None

    def build_upload(self, file: MediaFile) -> UploadRequest | None:
        """Build the request that begins the upload of a file; None if the provider has no upload."""
        return None

    def parse_upload(self, response: HttpResponse, file: MediaFile) -> UploadTicket | str:
        """Parse the response to `build_upload`'s request: the place for the content, or its URL if it was sent.

        Raises:
            Refused: the provider refused it.
            UnexpectedReply: the response cannot be read.
        """
        raise NotImplementedError(f"{self.title} takes no uploads")

    def inline_media(self, content: bytes) -> str:
        """Return what stands for a content in a request, where that may hold it; by default bare base64."""
        return b64encode(content).decode("ascii")

    def build_quote(self, input: Input) -> HttpRequest | None:
        """Build the request for the price of an input, which `check` has passed; None if the provider cannot tell it.

        Equal requests have equal answers, so that one is enough for inputs that are priced alike.
        """
        return None

    def parse_quote(self, response: HttpResponse) -> Price | None:
        """Parse the response to `build_quote`'s request; None if it tells no price, which never means 0.

        Raises:
            Refused: the provider refused to tell.
            UnexpectedReply: the response cannot be read.
        """
        raise NotImplementedError(f"{self.title} tells no prices")

    def build_balance(self) -> HttpRequest | None:
        """Build the request for the balance of the account; None if the provider has none."""
        return None

    def parse_balance(self, response: HttpResponse) -> Decimal | None:
        """Parse the response to `build_balance`'s request: US dollars, below 0 for a debt; None if it tells none.

        Raises:
            Refused: the provider refused to tell.
            UnexpectedReply: the response cannot be read.
        """
        raise NotImplementedError(f"{self.title} tells no balance")

    def build_listing(self, answered: Sequence[HttpResponse]) -> HttpRequest | None:
        """Build the next request for the provider's models; None after the last one, or if no list of them is known.

        Args:
            answered: the responses so far, in order.

        Raises:
            Refused: the provider refused the last request.
            UnexpectedReply: the last response cannot be read.
        """
        return None

    def compare_listing(self, responses: Sequence[HttpResponse]) -> tuple[Difference, ...]:
        """Return how the models of Kling in the responses to `build_listing`'s requests differ from the table.

        Raises:
            Refused: the provider refused to tell.
            UnexpectedReply: a response cannot be read, or they list no model of Kling.
        """
        raise NotImplementedError(f"{self.title} lists no models")


def parse_dollars(value: object) -> Decimal | None:
    """Parse an amount in US dollars, a number or its text; None if it is neither, or no possible amount."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return Decimal(str(value)) if abs(value) < _MAX_DOLLARS else None  # NaN is below nothing


def live_price(amounts: tuple[object, ...], currency: object, source: Source) -> Price | None:
    """Return the first of some amounts that is above 0 as a price; None if none is, or the currency is another.

    No submission is free: an amount of 0 says that the provider knows none.
    """
    if currency not in (None, "USD"):
        return None
    dollars = next((one for one in map(parse_dollars, amounts) if one is not None and one > 0), None)
    return None if dollars is None else Price(low=dollars, high=dollars, source=source)
