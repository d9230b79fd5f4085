"""Hold a journal of your own against what every journal must do."""

# start
from collections.abc import Callable
from pathlib import Path

import pytest

from kling_async import Journal, SqliteJournal
from kling_async.testing import JournalSuite

pytestmark = pytest.mark.anyio  # anyio brings this plugin for pytest


class TestMine(JournalSuite):
    """What every journal does, mine does."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], Journal]:
        """Return what makes your journal; made again, it holds what it held."""
        return lambda: SqliteJournal(tmp_path / "journal.db")  # in its place: yours
