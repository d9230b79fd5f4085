"""The built documentation in a real browser: what its search finds, and how it fits a phone."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

DOCS = Path(__file__).resolve().parents[2] / "docs"
TERMS = {
    "webhook": "howto/webhooks",
    "rate limit": "howto/limits",
    "429": "howto/limits",
    "concurrency": "howto/limits",
    "retry": "howto/handle_errors",
    "timeout": "howto/handle_errors",
    "idempotency": "explanation/no_repeated_post",
    "poll": "explanation/polling",
    "S3": "howto/object_storage",
    "bucket": "howto/object_storage",
    "resume": "howto/resume",
    "budget": "howto/budget",
    "spreadsheet": "howto/job_files",
    "excel": "howto/job_files",
    "csv": "howto/job_files",
    "mcp": "howto/agents",
    "queue": "howto/many_machines",
    "postgres": "howto/shared_journal",
    "fastapi": "howto/fastapi",
    "cancel": "explanation/cancellation",
    "proxy": "howto/transport",
    "jupyter": "howto/notebook",
    "batch": "howto/batches",
    "logging": "howto/operations",
    "price": "howto/budget",
}
"""What people type, and the page that should be among the first three results."""
RESULTS = "[...document.querySelectorAll('#search-results ul.search > li > a')].map((a) => a.getAttribute('href'))"
CUT = """() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (element) => {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement)
      if (/auto|scroll/.test(getComputedStyle(at).overflowX)) return true;
    return false;
  };
  const cut = [...document.querySelectorAll("article *")].filter((element) => {
    const { left, right, width } = element.getBoundingClientRect();
    return width && (right > wide + 1 || left < -1) && element.checkVisibility() && !scrolls(element);
  });
  return [document.documentElement.scrollWidth, cut.map((one) => `${one.tagName} ${one.textContent.slice(0, 40)}`)];
}"""


class Handler(SimpleHTTPRequestHandler):
    """Serves a directory, and keeps the paths that are not there."""

    def __init__(self, *arguments: object, missing: list[str], **options: object) -> None:
        self._missing = missing
        super().__init__(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer with an error."""
        self._missing.append(f"{code} {self.path}")
        super().send_error(code, message, explain)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the pages."""
    pytest.importorskip("sphinx", reason="no Sphinx here; `nox -s browser` installs it")
    pytest.importorskip("furo", reason="no theme of the pages here; `nox -s browser` installs it")
    folder = tmp_path_factory.mktemp("docs")
    words = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-d", str(folder / "cache"), str(DOCS)]
    subprocess.run([*words, str(folder / "html")], check=True, capture_output=True, timeout=300)
    return folder / "html"


@pytest.fixture(scope="module")
def missing() -> list[str]:
    """Collect what the server does not have."""
    return []


@pytest.fixture(scope="module")
def site(built: Path, missing: list[str]) -> Iterator[str]:
    """Serve the pages, as the search fetches the pages that it shows parts of."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(built), missing=missing)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("words", "wanted"), TERMS.items())
def test_what_people_type_finds_its_page(chromium, site, words, wanted) -> None:
    """A word that people use for a thing leads to the page about it, among the first three results."""
    page = chromium.new_page()
    page.goto(f"{site}/search.html?q={words.replace(' ', '+')}")
    page.wait_for_function(f"{RESULTS}.length > 2 || /finished/.test(document.body.innerText)")
    found = [href.partition(".html")[0] for href in page.evaluate(f"{RESULTS}.slice(0, 3)")]
    page.close()
    assert wanted in found


def test_no_page_is_cut_on_a_phone(chromium, built) -> None:
    """At 390 pixels no page is wider than the screen, and what is wider scrolls by itself."""
    page = chromium.new_page(viewport={"width": 390, "height": 800})
    pages = sorted(path for path in built.rglob("*.html") if "_sources" not in path.parts)
    assert len(pages) > 50
    faults = {}
    for path in pages:
        page.goto(path.as_uri())
        width, cut = page.evaluate(CUT)
        if width > 390 or cut:
            faults[path.relative_to(built).as_posix()] = (width, cut[:3])
    page.close()
    assert {} == faults


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_first_page_has_its_pictures_and_its_icon(chromium, site, missing, scheme) -> None:
    """The pictures of the reader's scheme are shown and described, and the browser misses nothing."""
    page = chromium.new_page(color_scheme=scheme)
    page.goto(site)
    page.wait_for_function("[...document.images].every((image) => !image.checkVisibility() || image.naturalWidth > 0)")
    shown = [image for image in page.locator("article img").all() if image.is_visible()]
    assert 2 == len(shown)
    assert all(f"-{scheme}." in image.get_attribute("src") and image.get_attribute("alt") for image in shown)
    icon = page.locator("link[rel~=icon]").get_attribute("href")
    assert page.request.get(f"{site}/{icon}").text().startswith("<svg")
    page.close()
    assert [] == missing
