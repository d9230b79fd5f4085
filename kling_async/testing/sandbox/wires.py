"""The wire formats of all providers, in the order in which a path that two of them have is asked for."""

from __future__ import annotations

from typing import Final

from .apiinone import Apiinone
from .atlascloud import Atlascloud
from .comfy import Comfy
from .fal import Fal
from .gptproto import Gptproto
from .kling import KlingLegacy, KlingTasks
from .openrouter import Openrouter
from .replicate import Replicate
from .wavespeed import Wavespeed
from .wire_format import WireFormat

__all__ = ["WIRES"]

WIRES: Final[tuple[WireFormat, ...]] = (
    *(Gptproto(), Apiinone(), Wavespeed(), Fal()),
    *(Replicate(), Openrouter(), Comfy(), KlingLegacy(), KlingTasks(), Atlascloud()),
)
"""Without state, so that all sandboxes share them."""
