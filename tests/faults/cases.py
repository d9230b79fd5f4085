"""The providers whose wires rows 51 to 56 are about, each with an input of every wire that it has."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from kling_async import ImageInput, VideoInput
from kling_async.types.inputs import Input

__all__ = ["CASES", "Case", "of_providers"]

IMAGE, VIDEO = ImageInput(prompt="a cat"), VideoInput(prompt="a cat")


@frozen
class Case:
    """A provider, and an input of one of its wires."""

    provider: str
    input: Input

    @property
    def finds(self) -> bool:
        """Whether the provider finds a submission by its client id."""
        return self.provider == "kling"

    def inputs(self, number: int) -> list[Input]:
        """Return inputs whose prompts tell them apart."""
        return [type(self.input)(prompt=f"cat {position}") for position in range(number)]


CASES: Mapping[str, Case] = {
    "wavespeed": Case("wavespeed", IMAGE),
    "fal": Case("fal", IMAGE),
    "fal video": Case("fal", VIDEO),
    "replicate": Case("replicate", VIDEO),
    "openrouter": Case("openrouter", VIDEO),
    "kling legacy": Case("kling", IMAGE),
    "kling": Case("kling", VIDEO),
}


def of_providers(*providers: str) -> dict[str, Case]:
    """Return the cases of some providers."""
    return {name: case for name, case in CASES.items() if case.provider in providers}
