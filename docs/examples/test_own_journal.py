"""Run the conformance tests of journals against a journal of your own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kling_async import Journal, SqliteJournal
from kling_async.testing import SingleOwnerSuite

pytestmark = pytest.mark.anyio  # anyio brings this plugin for pytest


class TestMyJournal(SingleOwnerSuite):
    """Inherits every test that a journal has to pass."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Journal]:
        """Return a factory of your journal; all it makes have the same contents."""
        return lambda: SqliteJournal(tmp_path / "journal.db")  # replace it by yours
