"""The providers by name, each loaded when it is first asked for: their tables are most of what there is to import."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from .base import Provider

__all__ = ["ProviderRegistry"]


class ProviderRegistry(Mapping[str, Provider]):
    """A mapping of names to providers."""

    def __init__(self) -> None:
        self._loaded: dict[str, Provider] = {}

    def __getitem__(self, name: str) -> Provider:
        provider = self._loaded.get(name)
        if provider is None:
            provider = self._loaded[name] = _LOADERS[name]()
        return provider

    def __contains__(self, name: object) -> bool:
        return name in _LOADERS

    def __iter__(self) -> Iterator[str]:
        return iter(_LOADERS)

    def __len__(self) -> int:
        return len(_LOADERS)


# ruff: noqa: PLC0415 - each import is made when its provider is asked for


def _gptproto() -> Provider:
    from .gptproto import GPTProto

    return GPTProto()


def _apiinone() -> Provider:
    from .apiinone import APIInOne

    return APIInOne()


def _wavespeed() -> Provider:
    from .wavespeed import WaveSpeed

    return WaveSpeed()


def _fal() -> Provider:
    from .fal import Fal

    return Fal()


def _replicate() -> Provider:
    from .replicate import Replicate

    return Replicate()


def _openrouter() -> Provider:
    from .openrouter import OpenRouter

    return OpenRouter()


def _comfy() -> Provider:
    from .comfy import Comfy

    return Comfy()


def _kling() -> Provider:
    from .kling import Kling

    return Kling()


def _atlascloud() -> Provider:
    from .atlascloud import AtlasCloud

    return AtlasCloud()


_LOADERS: Final[Mapping[str, Callable[[], Provider]]] = {
    "gptproto": _gptproto,
    "apiinone": _apiinone,
    "wavespeed": _wavespeed,
    "fal": _fal,
    "replicate": _replicate,
    "openrouter": _openrouter,
    "comfy": _comfy,
    "kling": _kling,
    "atlascloud": _atlascloud,
}
