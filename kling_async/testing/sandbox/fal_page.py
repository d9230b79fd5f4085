"""fal's public page of an endpoint, https://fal.ai/models/{endpoint}/llms.txt, as stored pages of 2026 are written.

The texts about the fields, and all parts but the price and the input schema, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

from .fal_catalog import Endpoint

__all__ = ["describe"]

_TYPES = {"=": "Enum", "*": "list<string>", "#": "integer", "?": "boolean", "~": "list<Element>"}


def describe(name: str, known: Endpoint) -> str:
    """Return the page of an endpoint in Markdown."""
    return "\n".join(_lines(name, known))


def _lines(name: str, known: Endpoint) -> Iterator[str]:
    yield from ("# Kling", "", "## Overview", "", f"- **Model ID**: `{name}`", "", "## Pricing", "", _price(known))
    yield from ("", "For more details, see [fal.ai pricing](https://fal.ai/pricing).", "", "## API Information", "")
    yield from ("### Input Schema", "", "The API accepts the following input parameters:", "")
    for field, values in known.fields.items():
        presence = "_required_" if field in known.required else "_optional_"
        yield f"- **`{field}`** (`{_TYPES.get(values[:1], 'string')}`, {presence}):"
        yield from _values(values)
        yield ""
    yield from ("**Required Parameters Example**:", "", "### Output Schema", "")


def _price(known: Endpoint) -> str:
    if known.kind == "image":
        return f"Your request will cost **${known.price}** per image."
    if known.price == known.with_sound:
        whole = f"For example, a **5s** video will cost **${5 * known.price}**."
        return f"For every second of video you generated, you will be charged **${known.price}**. {whole}"
    return f"For every second you will be charged **${known.price}** (audio off) or **${known.with_sound}** (audio on)."


def _values(values: str) -> Iterator[str]:
    if values.startswith("="):
        words = values[1:].split(",")
        yield f'  - Default: `"{words[0]}"`'
        yield f"  - Options: {', '.join(f'`{chr(34)}{word}{chr(34)}`' for word in words)}"
    elif values.startswith("#"):
        default, _, span = values[1:].partition(",")
        low, _, high = span.partition("..")
        yield from (f"  - Default: `{default}`", f"  - Range: `{low}` to `{high}`")
    elif values.startswith("?"):
        yield f"  - Default: `{values[1:]}`"
