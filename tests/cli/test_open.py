"""`kling-async open`: the report in the browser of the environment, and its path on stdout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kling_async.testing import Sandbox

from .conftest import Run

BROWSER = "import sys, pathlib; pathlib.Path('shown').write_text(sys.argv[1])"


@pytest.mark.skipif(sys.platform == "win32", reason="BROWSER is for other systems")
def test_a_report_is_opened(folder: Path, run: Run, served: tuple[Sandbox, dict[str, str]]) -> None:
    """The browser gets the absolute URL; without a browser, or without a report, the code says so."""
    _, settings = served
    (folder / "m.csv").write_text("key,prompt\na,a cat\n")
    assert 0 == run("batch", "m.csv", "-p", "apiinone", **settings).returncode
    (folder / "browser.py").write_text(BROWSER)
    shown = run("open", "m", BROWSER=f"{sys.executable} browser.py %s")
    assert (0, "m/report.html") == (shown.returncode, shown.stdout.strip())
    assert (folder / "m/report.html").resolve().as_uri() == (folder / "shown").read_text()
    failed = run("open", "m", BROWSER=f"{sys.executable} missing.py %s", PATH="", DISPLAY="")
    assert (1, "m/report.html") == (failed.returncode, failed.stdout.strip())
    assert "No browser could be opened" in failed.stderr
    (folder / "m/report.html").unlink()
    missing = run("open", "m", BROWSER=f"{sys.executable} browser.py %s")
    assert (2, "") == (missing.returncode, missing.stdout)
    assert "kling-async report m" in missing.stderr
