"""fal's public page of each endpoint: `https://fal.ai/models/{endpoint}/llms.txt`.

https://fal.ai/docs/documentation/setting-up/agent-surfaces documents it: made from the live metadata, with the input
schema and the price in words, and for no API key. Its form is that of stored pages of 2026: a head for each part, and
for each parameter its name and type, with its options or its range below. There is no such list of all endpoints, so
new ones are not found.
"""

from __future__ import annotations

import re
from typing import Final

from ..types.http import HttpRequest
from .listing import ListedModel, allowed_between
from .queries import parse_dollars

__all__ = ["endpoint_of", "page_of", "parse_page"]

_UNUSED: Final = frozenset({"sync_mode"})
"""Fields that change how a result is told, and that this package never sends."""
_PRICING: Final = re.compile(r"^## Pricing\s*\n(.*?)(?=^#)", re.MULTILINE | re.DOTALL)
_INPUT: Final = re.compile(r"^### Input Schema\s*\n(.*?)(?=^#|^\*\*Required)", re.MULTILINE | re.DOTALL)
_PARAMETER: Final = re.compile(r"^- \*\*`([A-Za-z0-9_]{1,100})`\*\*(.*?)(?=^- \*\*`|\Z)", re.MULTILINE | re.DOTALL)
_LINE: Final = re.compile(r"^\s+- (Options|Range): *(.*)$", re.MULTILINE)
_QUOTED: Final = re.compile(r"`\"?([^`\"\n]*)\"?`")
_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_AMOUNT: Final = re.compile(r"\$ ?([0-9]+(?:\.[0-9]+)?)")


def endpoint_of(request: HttpRequest) -> str:
    """Return the endpoint of a submission, which is its path."""
    return request.path.removeprefix("/")


def page_of(endpoint: str) -> HttpRequest:
    """Build the request for the page of an endpoint."""
    return HttpRequest(method="GET", path=f"/models/{endpoint}/llms.txt")


def parse_page(text: str, *, endpoint: str) -> ListedModel | None:
    """Parse the page of an endpoint; None if it describes no parameters."""
    schema = _INPUT.search(text)
    described = dict(_PARAMETER.findall(schema[1])) if schema else {}
    if not described:
        return None
    pricing = _PRICING.search(text)
    # A price per second may be followed by an example for a whole video.
    words = pricing[1].partition("For example")[0] if pricing else ""
    amounts = (parse_dollars(amount) for amount in _AMOUNT.findall(words))
    return ListedModel(
        id=endpoint,
        fields=frozenset(described) - _UNUSED,
        values={name: values for name, one in described.items() if (values := _allowed(one))},
        amounts=frozenset(amount for amount in amounts if amount),
    )


def _allowed(description: str) -> frozenset[str]:
    """Return the values that a parameter allows; empty for any."""
    lines: dict[str, str] = dict(_LINE.findall(description))
    if "Options" in lines:
        return frozenset(one.lower() for one in _QUOTED.findall(lines["Options"]))
    bounds = _QUOTED.findall(lines.get("Range", ""))
    if len(bounds) == 2 and all(map(_NUMBER.fullmatch, bounds)) and "float" not in description:
        return allowed_between(*map(int, bounds))
    return frozenset()
