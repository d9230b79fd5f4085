"""Negative controls: builds of the package that are broken in one way each, and are caught by what the rows check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pytest

from .conftest import OpenSite
from .crashes import Runner
from .mutants import build
from .sweeps import (
    cancelled,
    duplicates,
    interrupted_downloads,
    interrupted_uploads,
    leaves,
    replacements,
    steps,
    timeouts,
)

Check: TypeAlias = Callable[[Runner, OpenSite, Path], object]

EVERY_CALL: Check = partial(steps, every=2)
"""Before or after each call that touches the world: both are steps."""
EVERY_CALL_LOOKED_UP: Check = partial(steps, every=2, provider="kling")
EVERY_CALL_REPLAYED: Check = partial(steps, every=2, provider="comfy")
REPLACED: Check = partial(replacements, every=2)

CAUGHT_BY: Mapping[str, tuple[Check, str]] = {
    "no intent": (EVERY_CALL, "paid twice"),
    "nothing found": (EVERY_CALL_LOOKED_UP, "charged, and unknown"),
    "replayed under another key": (EVERY_CALL_REPLAYED, "paid twice"),
    "reported before it is committed": (EVERY_CALL, "told and not on disk"),
    "written under the final name": (partial(interrupted_downloads, kills=4), "is partial"),
    "an object named before it is whole": (interrupted_uploads, "an object is partial"),
    "no shield": (leaves, "left before its answer"),
    "repeated after a time-out": (timeouts, "was repeated"),
    "refused for its own client id": (duplicates, "charged, and unknown"),
    "a refused one asked about again": (REPLACED, "asked again"),
    "a replacement not known as one": (REPLACED, "neither replaced|asked again|sent twice"),
    "cancelled is bought again": (cancelled, "was bought again"),
}
"""Which check catches a mutant, and what it says."""
BY_STEPS = (EVERY_CALL, EVERY_CALL_LOOKED_UP, EVERY_CALL_REPLAYED, REPLACED)


@pytest.fixture(scope="module")
def sound() -> object:
    """Start what forks runs of the package as it is."""
    with Runner() as started:
        yield started


@pytest.mark.parametrize("name", [name for name, (check, _) in CAUGHT_BY.items() if check not in BY_STEPS])
def test_the_package_passes(name: str, sound: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Each check is passed by the package as it is; the steps are rows 1 and 2."""
    CAUGHT_BY[name][0](sound, site, tmp_path)


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_a_broken_build_is_caught(name: str, site: OpenSite, tmp_path: Path) -> None:
    """A build that breaks one promise fails the check that claims to cover it."""
    (tmp_path / "runs").mkdir()
    check, says = CAUGHT_BY[name]
    with Runner(build(name, tmp_path / "build")) as runner, pytest.raises(AssertionError, match=says):
        check(runner, site, tmp_path / "runs")
