"""Fields of an input, from the texts that people type."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import InputError
from ..inputs import Input
from ..sheets.columns import input_of, read_settings

__all__ = ["input_from"]


def input_from(prompt: str, *, model: str, settings: Iterable[str]) -> Input:
    """Make an input of a prompt and of settings such as `n=2`, `images=URL|URL` or `extra.sound=false`.

    Raises:
        InputError: a setting names no field, or its value cannot be read.
    """
    fields = read_settings(settings, without=("key", "prompt", "provider", "kind", "model"))
    made = input_of({**fields, "prompt": prompt, "model": model})
    if made.input is None:
        raise InputError.of("The input cannot be made", made.faults)
    return made.input
