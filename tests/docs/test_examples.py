"""Every file in docs/examples is run as a user would run it, against a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import field, frozen

from kling_async.testing import Sandbox, SandboxServer

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


@frozen
class Expected:
    """What an example is given, what it prints, which files it leaves, as patterns, and a library that it needs."""

    arguments: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    options: tuple[str, ...] = field(default=(), kw_only=True)
    needs: str = field(default="sys", kw_only=True)


SERVED = frozenset({"fastapi_app.py"})
"""What does not end by itself; `test_fastapi.py` runs it."""

EXPECTED = {
    "batch.py": Expected(
        printed=("[8 of 8, 0 running", "fox-linocut: fox-linocut-0.png\n", "heron-watercolour: "),
        files=(*["out/*-linocut-0.png"] * 4, *["out/*-watercolour-0.png"] * 4),
    ),
    "batch_budget.py": Expected(
        printed=(*["done: a lighthouse, postcard "] * 3, "The next job would pass max_cost", "spent $0.09 on 3 of 8\n")
    ),
    "batch_matrix.py": Expected(
        printed=("a_fox-rain a_fox-rain-0.png\n", "a_whale-snow a_whale-snow-0.png\n"), files=(*["out/*-*-0.png"] * 6,)
    ),
    "both_providers.py": Expected(
        printed=("gptproto None ", "apiinone 0.012 "), files=("out/gptproto/*.png", "out/apiinone/*.png")
    ),
    "errors.py": Expected(
        ("a cat", "a cat [[refused]]", "a cat [[lost]]", "a cat [[failed:out of ink]]", " "),
        (
            "succeeded: image\n",
            "refused: change the prompt\n",
            "unconfirmed: look it up before you send it again (image-",
            "failed: out of ink\n",
            "not sent: prompt=' ': must be text",
        ),
    ),
    "estimate.py": Expected(printed=("API in One: $0.036\n", "$1.20 to $12.00\n", "not published", "known? False\n")),
    "first_image.py": Expected(printed=(".png\n",), files=("out/image-*.png",)),
    "first_video.py": Expected(printed=(".mp4\n",), files=("out/video-*.mp4",)),
    "later.py": Expected(printed=("submitted heron\n", "heron-0.png\n"), files=("out/heron-0.png", "prediction.json")),
    "many.py": Expected(
        ("a fox", "an owl [[refused]]", "a whale"),
        ("a fox: ", "an owl [[refused]]: The provider refused", "a whale: "),
        ("out/*.png", "out/*.png"),
    ),
    "resume.py": Expected(printed=tuple(f"fox-{n} " for n in range(12)), files=("out/journal.db", *["out/*.png"] * 12)),
    "sandbox_server.py": Expected(printed=("gptproto succeeded\n", "apiinone kling-image-o1 was billed 0.012\n")),
    "sheet.py": Expected(
        ("jobs.csv",), printed=("3 jobs, expected cost: ", "fox done\n", "heron done\n"), files=(*["out/*.png"] * 3,)
    ),
    "test_with_sandbox.py": Expected(
        printed=(" passed",), options=("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "-c", os.devnull)
    ),
    "tqdm_progress.py": Expected(needs="tqdm"),
    "trio_app.py": Expected(printed=(".png\n",), files=("out/*.png", "out/*.png")),
}


@pytest.fixture(scope="module")
def settings() -> Iterator[dict[str, str]]:
    """Serve a quick sandbox, and hold the environment that points at it."""
    with SandboxServer(Sandbox(time_scale=0.005)) as server:
        pointed = {"PYTHONIOENCODING": "utf-8", "PYTHONDONTWRITEBYTECODE": "1"}
        for name in ("GPTPROTO", "APIINONE"):
            pointed |= {f"{name}_BASE_URL": server.url, f"{name}_API_KEY": server.sandbox.key}
        yield {**os.environ, **pointed}


def test_every_example_is_run() -> None:
    """No example is without a test, and no test without an example."""
    assert sorted(SERVED.union(EXPECTED)) == sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", EXPECTED)
def test_it_runs(name: str, settings: dict[str, str], tmp_path: Path) -> None:
    """An example ends well, prints what its page says, and leaves its files."""
    expected = EXPECTED[name]
    pytest.importorskip(expected.needs)
    (tmp_path / "jobs.csv").write_text("key,prompt\nfox,a fox\n,an owl\nheron,a heron\n", encoding="utf-8")
    command = [sys.executable, *expected.options, str(EXAMPLES / name), *expected.arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=settings, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for text in expected.printed:
        assert done.stdout.count(text) >= expected.printed.count(text)
    for pattern in expected.files:
        found = list(tmp_path.glob(pattern))
        assert len(found) == expected.files.count(pattern)
        assert all(path.stat().st_size for path in found)
