"""The registry of providers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kling_async.providers import DEFAULT_PROVIDER, PROVIDERS

LOADED = """
import sys
import kling_async
from kling_async.providers import PROVIDERS
def loaded():
    return {name for name in PROVIDERS if f"kling_async.providers.{name}" in sys.modules}
print(sorted(loaded()))
kling_async.Client("fal", api_key="x")
print(sorted(loaded()))
"""


def test_a_provider_has_the_name_that_it_is_found_by() -> None:
    """Each name leads to the provider of that name, and always to the same one."""
    assert list(PROVIDERS) == [provider.name for provider in PROVIDERS.values()]
    assert all(PROVIDERS[name] is PROVIDERS[name] for name in PROVIDERS)
    assert DEFAULT_PROVIDER in PROVIDERS


def test_an_unknown_name_is_missing() -> None:
    """The registry is a mapping: what it does not have is a KeyError, and loads nothing."""
    assert "nothing" not in PROVIDERS
    assert PROVIDERS.get("nothing") is None
    with pytest.raises(KeyError):
        PROVIDERS["base"]


def test_a_provider_is_loaded_when_it_is_asked_for() -> None:
    """Importing the package reads no table of models, and a client reads that of its provider only."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert ["[]", "['fal']"] == done.stdout.split("\n")[:2]
