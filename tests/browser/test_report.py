"""The report in a real browser, opened from the disk."""

from __future__ import annotations

import os
import re
import socket
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve

from kling_async.runs.report import ReportRow, gallery
from kling_async.runs.report.page import render
from kling_async.runs.report.summary import RunSummary
from kling_async.runs.thumbnails import Thumbnails
from kling_async.testing.sandbox.media import draw_png

from .conftest import MADE_AT

pytestmark = pytest.mark.browser

HOSTILE = (
    *("</script><script>document.title='hacked'</script>", "<img src=x onerror=\"document.title='hacked'\">"),
    *("javascript:document.title='hacked'", "\" autofocus onfocus=\"document.title='hacked'", "a\u2028b\u2029c"),
    *("a\ud800b", "a\x00b", "<!--", "</style><style>article{display:none}", "{{ 7*7 }}", "&lt;b&gt;", "\u202etxet"),
)
CONTRASTS = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = parts(colour)
      .map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [, , , alpha = 1] = parts(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return getComputedStyle(at).backgroundColor;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const found = {};
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest("svg, script, .unseen, .skip, option")) continue;
    const [one, other] = [light(getComputedStyle(element).color), light(behind(element))].sort((a, b) => b - a);
    found[`${element.tagName} ${element.textContent.trim().slice(0, 30)}`] = (one + 0.05) / (other + 0.05);
  }
  return found;
}"""
CONTROLS = """() => [...document.querySelectorAll("a[href], button, input, select, summary, video, [tabindex='0']")]
  .filter((element) => element.checkVisibility() && (element.type !== "radio" || element.checked)).length"""
FOCUS = """() => {
  const at = document.activeElement;
  const marked = at.type === "radio" ? at.nextElementSibling : at;
  at.dataset.reached = "";
  const outline = parseFloat(getComputedStyle(marked).outlineWidth);
  return [at.tagName, at.id || at.name || at.textContent.slice(0, 20), outline];
}"""


@pytest.fixture(scope="module")
def run(sample_run):
    """Make up forty jobs, with one that is unconfirmed and some that failed."""
    rows: list[ReportRow] = sample_run.build_run(40)
    return rows


@pytest.fixture(scope="module")
def report(write_report, run) -> Path:
    """Write the report of forty jobs."""
    path: Path = write_report(run)
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_asks_nobody_and_complains_of_nothing(open_page, report, scheme) -> None:
    """Opened from a disk it loads its own files only, and the browser has nothing to say."""
    with open_page(report, color_scheme=scheme) as opened:
        with opened.page.expect_request(lambda request: request.url.endswith(".mp4")):
            opened.page.locator("video").last.scroll_into_view_if_needed()
        assert [] == opened.complaints
        assert {"file", "data"} >= {url.partition(":")[0] for url in opened.requests}
        assert any(url.endswith(".png") for url in opened.requests)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_can_be_read(open_page, report, scheme) -> None:
    """The page follows the reader's scheme, and all its text stands out from what is behind it (WCAG 1.4.3)."""
    with open_page(report, color_scheme=scheme) as opened:
        [level] = {
            int(part)
            for part in re.findall(r"\d+", opened.page.evaluate("getComputedStyle(document.body).backgroundColor"))[:1]
        }
        assert (level > 200) is (scheme == "light")
        contrasts = opened.page.evaluate(CONTRASTS)
        assert 100 < len(contrasts)
        assert {} == {text: ratio for text, ratio in contrasts.items() if ratio < 4.5}


def test_images_are_shown(open_page, report) -> None:
    """Each image in view is loaded and opens the viewer, where it leads to its file."""
    with open_page(report) as opened:
        image = opened.page.locator("article img").first
        image.scroll_into_view_if_needed()
        opened.page.wait_for_function("document.querySelector('article img').naturalWidth > 0")
        image.click()
        with opened.page.expect_navigation():
            opened.page.locator("#viewer img").click()
        assert opened.page.url.endswith("media/shot-0001-0.png")


def test_thumbnails_are_loaded_in_place_of_images(open_page, tmp_path, sample_run) -> None:
    """A report of large images loads their thumbnails only; a click shows the image itself, and leads to it."""
    rows = [evolve(row, files=row.files[:1]) for row in sample_run.build_run(12) if row.files and row.kind == "image"]
    for row in rows:
        image = tmp_path / row.files[0]
        image.parent.mkdir(exist_ok=True)
        image.write_bytes(draw_png(row.key, width=1200, height=900))
    (tmp_path / rows[-1].files[0]).write_bytes(draw_png("small", width=200, height=150))
    thumbnails = Thumbnails(tmp_path).of(file for row in rows for file in row.files)
    assert len(rows) - 1 == len(thumbnails)
    rows = [evolve(row, thumbnails=thumbnails) for row in rows]
    path = tmp_path / "report.html"
    path.write_text(
        "".join(render(RunSummary.of(rows), title="a run", made_at=MADE_AT, version="0.1.0")), encoding="utf-8"
    )
    with open_page(path) as opened:
        for image in opened.page.locator("article img").all():
            image.scroll_into_view_if_needed()
            image.evaluate("image => image.decode()")
        assert [] == opened.complaints
        asked = [url for url in opened.requests if "/media/" in url or "/thumbnails/" in url]
        assert len(rows) == len(asked)
        assert [rows[-1].files[0].rpartition("/")[2]] == [
            url.rpartition("/")[2] for url in asked if "/thumbnails/" not in url
        ]
        widths = opened.page.evaluate("[...document.querySelectorAll('article img')].map(image => image.naturalWidth)")
        assert [480] * (len(rows) - 1) == sorted(widths)[1:]
        opened.page.locator("article img").first.click()
        with opened.page.expect_navigation():
            opened.page.locator("#viewer img").click()
        assert opened.page.url.endswith(f"/{rows[0].files[0]}")
        assert 1200 == opened.page.evaluate("document.querySelector('img').naturalWidth")


def test_a_video_shows_its_first_frame_and_plays(open_page, report, run) -> None:
    """A video loads nothing until it comes near; then it has a image, and it plays."""
    with open_page(report) as opened:
        video = opened.page.locator("video").last
        assert "none" == video.get_attribute("preload")
        video.scroll_into_view_if_needed()
        video.evaluate("video => new Promise(done => video.readyState > 0 ? done() : video.onloadedmetadata = done)")
        assert video.evaluate("video => video.videoWidth") > 0
        video.evaluate("video => { video.muted = true; return video.play(); }")
        video.evaluate("video => new Promise(done => video.ontimeupdate = () => video.currentTime > 0.2 && done())")
        assert opened.page.get_by_role("link", name="open video").first.get_attribute("href").endswith(".mp4")


def test_filter(open_page, report, run) -> None:
    """Text, status, provider and model each narrow what is shown, and the count says how far."""
    with open_page(report) as opened:
        assert "40 of 40 jobs" == opened.shown()
        assert [row.key for row in run if row.status == "unconfirmed"] == opened.cards()[:1]

        opened.page.get_by_label("Find").fill("VIOLIN  watercolour")
        wanted = [row.key for row in run if "violin" in row.prompt and "watercolour" in row.prompt]
        assert wanted
        assert wanted == opened.cards()
        assert f"{len(wanted)} of 40 jobs" == opened.shown()

        opened.page.get_by_label("Find").fill("")
        opened.page.get_by_text("failed 2", exact=True).click()
        assert [row.key for row in run if row.status == "failed"] == opened.cards()
        opened.page.get_by_text("all 40", exact=True).click()
        opened.page.get_by_role("combobox", name="Provider").select_option(label="apiinone")
        assert {row.key for row in run if row.provider == "apiinone"} == set(opened.cards())
        opened.page.get_by_role("combobox", name="Model").select_option(label="kling-3")
        assert {row.key for row in run if row.model == "kling-3"} == set(opened.cards())

        opened.page.get_by_label("Find").fill("nothing says this")
        assert "0 of 40 jobs" == opened.shown()
        opened.page.get_by_role("button", name="Show all").click()
        assert "40 of 40 jobs" == opened.shown()
        assert "find" == opened.page.evaluate("document.activeElement.id")


LABELLED = {"shot-0001": "dawn", "shot-0002": "dusk", "shot-0003": "dawn"}


@pytest.fixture(scope="module")
def labelled(write_report, run) -> Path:
    """Write the report of a run some jobs of which have labels, and one of which has a long prompt."""
    rows = [evolve(row, labels={"light": LABELLED[row.key]} if row.key in LABELLED else {}) for row in run]
    rows[3] = evolve(rows[3], prompt="A long story about a harbour. " * 60)
    path: Path = write_report(rows)
    return path


def test_the_viewer_of_a_file(open_page, labelled, run) -> None:
    """A card opens the viewer; arrows lead through what the filter shows; the whole prompt is there, and is copied."""
    with open_page(labelled, permissions=["clipboard-read", "clipboard-write"]) as opened:
        opened.page.get_by_label("Find").fill("shot-000")
        opened.page.get_by_role("button", name="Details of shot-0003").click()
        shown = opened.page.locator("#viewer .pane h2")
        opened.page.keyboard.press("ArrowRight")
        assert ["shot-0004"] == shown.all_text_contents()
        opened.page.get_by_role("button", name="Copy prompt").click()
        opened.page.get_by_text("Copied.").wait_for()
        assert "A long story about a harbour. " * 60 == opened.page.evaluate("navigator.clipboard.readText()")
        opened.page.get_by_role("button", name="Compare with others").click()
        opened.page.keyboard.press("ArrowLeft")
        assert ["shot-0004", "shot-0003"] == shown.all_text_contents()
        opened.page.keyboard.press("Escape")
        assert not opened.page.locator("#viewer").is_visible()
        opened.page.locator(":focus", has_text="Details of shot-0003").wait_for(state="attached")
        assert [] == opened.complaints


def test_a_long_prompt_stretches_no_row(open_page, labelled) -> None:
    """A long prompt takes no more than five lines of its card until it is opened."""
    with open_page(labelled) as opened:
        summary = opened.page.locator("article", has_text="shot-0004").locator("summary")
        assert summary.bounding_box()["height"] < 130
        summary.click()
        assert "harbour. A long" in opened.page.locator("article details[open]").inner_text()


def test_labels_and_order_are_kept_in_the_address(open_page, labelled, run) -> None:
    """Labels are filters and cards are sorted; the address has both by name, so that it can be reloaded and shared."""
    with open_page(labelled) as opened:
        opened.page.get_by_label("Sort by").select_option(label="duration")
        by_duration = sorted((row for row in run if row.took), key=lambda row: -(row.took or 0))
        assert by_duration[0].key == opened.cards()[0]
        opened.page.get_by_label("light").select_option(label="dawn")
        before = opened.cards()
        assert {"shot-0001", "shot-0003"} == set(before)
        assert opened.page.url.endswith("#sort=duration&label-0=dawn")
        opened.page.reload()
        assert before == opened.cards()
        opened.page.get_by_label("Find").fill("nothing says this")
        opened.page.get_by_role("button", name="Show all").click()
        assert "40 of 40 jobs" == opened.shown()
        assert opened.page.url.endswith("#sort=duration")


def test_a_status_is_in_the_address_by_name(open_page, report, run) -> None:
    """A status keeps its name in the address, which is the same in a report that is written again."""
    with open_page(report) as opened:
        opened.page.get_by_text("failed 2", exact=True).click()
        assert opened.page.url.endswith("#status=failed")
        opened.page.reload()
        assert [row.key for row in run if row.status == "failed"] == opened.cards()


def test_a_cause_of_a_file_shows_its_jobs(open_page, report, run) -> None:
    """A click on a cause shows the jobs that failed for it, whatever was filtered before."""
    failed = next(row for row in run if row.status == "failed")
    with open_page(report) as opened:
        opened.page.get_by_role("combobox", name="Model").select_option(index=1)
        opened.page.locator(".causes").get_by_role("button", name=failed.cause).click()
        assert [row.key for row in run if row.cause == failed.cause] == opened.cards()


def test_the_timeline_can_be_read_on_a_phone(open_page, report) -> None:
    """The chart is not scaled with its letters: they are as large as on a wide screen, and stay inside the page."""
    with open_page(report, viewport={"width": 390, "height": 800}) as opened:
        chart = opened.page.locator(".timeline > svg")
        assert chart.bounding_box()["height"] > 150
        texts = [text.bounding_box() for text in chart.locator("text").all() if text.is_visible()]
        assert 8 <= len(texts)
        assert all(13 <= box["height"] and 0 <= box["x"] <= box["x"] + box["width"] <= 390 for box in texts)
        times = sorted((box["x"], box["width"]) for box in texts if box["y"] > chart.bounding_box()["y"] + 170)
        assert all(x + width < after for (x, width), (after, _) in pairwise(times))


def test_the_notice_leads_to_what_is_unconfirmed(open_page, report, run) -> None:
    """One click, or one key, on the notice shows the jobs that may have cost money."""
    with open_page(report) as opened:
        opened.page.get_by_label("Find").fill("nothing says this")
        opened.page.get_by_role("button", name="Show it").press("Enter")
        assert [row.key for row in run if row.status == "unconfirmed"] == opened.cards()


def test_every_control_is_reached_by_keyboard(open_page, report) -> None:
    """Tab leads to each control, and each shows that it has the focus (WCAG 2.1.1, 2.4.7)."""
    with open_page(report) as opened:
        everything = opened.page.evaluate(CONTROLS)
        unseen = []
        for _ in range(everything * 8):  # a video has stops of its own inside
            opened.page.keyboard.press("Tab")
            name, words, outline = opened.page.evaluate(FOCUS)
            if name == "BODY":
                break
            if outline < 2:
                unseen.append((name, words))
        assert [] == unseen
        assert everything == opened.page.locator("[data-reached]:not(body)").count()


def test_keys_work_the_controls(open_page, report, run) -> None:
    """Arrows choose a status, Enter opens an image, and the first Tab offers to skip to the jobs."""
    with open_page(report) as opened:
        opened.page.keyboard.press("Tab")
        opened.page.keyboard.press("Enter")
        assert "jobs" == opened.page.evaluate("document.activeElement.id")
        opened.page.locator("input[name=status]").first.focus()
        opened.page.keyboard.press("ArrowRight")
        assert f"{sum(row.status == 'succeeded' for row in run)} of 40 jobs" == opened.shown()
        opened.page.locator("article a").first.focus()
        opened.page.keyboard.press("Enter")
        opened.page.locator("#viewer .media a").first.focus()
        with opened.page.expect_navigation():
            opened.page.keyboard.press("Enter")
        assert opened.page.url.endswith(".png")


def test_a_screen_reader_finds_its_way(open_page, report) -> None:
    """There are landmarks, headings, descriptions of images, and a live count."""
    with open_page(report) as opened:
        for role in ("banner", "main", "search"):
            assert 1 == opened.page.get_by_role(role).count()
        for name in ("Over time", "Why jobs failed", "Jobs"):
            assert 1 == opened.page.get_by_role("region", name=name, exact=True).count()
        assert "polite" == opened.page.get_by_role("search").get_by_role("status").get_attribute("aria-live")
        assert re.match(
            r"40 jobs over 2 min 55 s; at the end: 36 succeeded",
            opened.page.locator("svg").first.get_attribute("aria-label"),
        )
        assert 0 == opened.page.locator("article img:not([alt]), article img[alt='']").count()
        assert 1 == opened.page.get_by_role("heading", level=1).count()


@pytest.mark.parametrize("width", [320, 768, 2560])
def test_it_fits_every_screen(open_page, report, write_report, sample_run, width) -> None:
    """Nothing makes the page wider than the screen, from a phone on (WCAG 1.4.10); wide tables scroll by themselves."""
    matrix = write_report(list(sample_run.build_matrix(animal=["fox", "cat", "owl"], light=["dawn", "noon", "dusk"])))
    for path in (report, matrix):
        with open_page(path, viewport={"width": width, "height": 800}) as opened:
            assert width >= opened.page.evaluate("document.documentElement.scrollWidth")


def test_it_says_what_matters_without_its_script(open_page, report) -> None:
    """Totals, timeline and all cards are there; controls that would do nothing are not."""
    with open_page(report, java_script_enabled=False) as opened:
        assert opened.page.get_by_text("Spent").first.is_visible()
        assert opened.page.locator(".timeline > svg").is_visible()
        assert 40 == opened.page.locator("article").count()
        assert not opened.page.get_by_role("search").is_visible()
        assert not opened.page.get_by_role("button").filter(visible=True).count()
        assert [] == opened.complaints


def test_a_matrix_is_filtered_row_by_row(open_page, write_report, sample_run) -> None:
    """Rows without a match go, the headings of columns stay, and a section without a match goes whole.

    Its order is that of its labels, so none is offered.
    """
    rows = list(sample_run.build_matrix(style=["ink", "oil"], animal=["fox", "cat", "owl"], light=["dawn", "dusk"]))
    with open_page(write_report(rows)) as opened:
        assert not opened.page.get_by_label("Sort by").count()
        assert 2 == opened.page.locator("table:has(article)").count()
        opened.page.get_by_label("Find").fill("oil dusk")
        assert ["style oil"] == opened.page.locator(".matrix > h3:visible").all_inner_texts()
        assert ["fox", "cat", "owl"] == opened.page.locator(".matrix tbody th:visible").all_inner_texts()
        assert ["dawn", "dusk"] == opened.page.locator(".matrix thead th:visible").all_inner_texts()
        assert 3 == len(opened.cards())
        opened.page.get_by_label("Find").fill("cat")
        assert ["cat", "cat"] == opened.page.locator(".matrix tbody th:visible").all_inner_texts()
        assert [] == opened.complaints


def test_hostile_text_stays_text(open_page, write_report, run) -> None:
    """Whatever a prompt, a key, a cause or a name says is shown, and nothing of it is done."""
    rows = [
        evolve(
            run[0],
            **dict.fromkeys(("key", "prompt", "cause", "advice", "provider", "model", "failure"), text),
            files=(),
        )
        for text in HOSTILE
    ]
    labels = [{"a": one, "b": other} for one in HOSTILE[:2] for other in HOSTILE[2:4]]
    rows += [evolve(run[0], labels=label, files=()) for label in labels]
    with open_page(write_report(rows, title=HOSTILE[0])) as opened:
        assert opened.page.title() == HOSTILE[0]
        assert [] == opened.complaints
        assert ["file"] == [url.partition(":")[0] for url in opened.requests if not url.startswith("data:image")]
        assert f"{len(rows)} of {len(rows)} jobs" == opened.shown()
        told = opened.page.locator(".flow article > p:not(.cause)").all_text_contents()
        assert [re.sub("[\x00\ud800]", "\ufffd", text) for text in HOSTILE] == told


def test_files_with_strange_names_are_shown(open_page, write_report, run, tmp_path) -> None:
    """Every name that a disk can hold leads to its file, and to nothing else."""
    names = (
        "狐 100%#1?.png",
        '"a" & <b>\'.png',
        "javascript:alert(1).png",
        "%2e%2e.png",
        os.fsdecode(b"\xff.png"),
        "a\\b.png",
    )
    rows = [evolve(run[0], key=ascii(name), files=(name,)) for name in names]
    with open_page(write_report(rows)) as opened:
        everything = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
        opened.page.wait_for_function(everything)
        assert len(names) == opened.page.locator("article img").count()
        assert [] == opened.complaints


def test_the_policy_holds_if_escaping_should_fail(open_page, report) -> None:
    """Scripts, handlers, styles and addresses that got into the file all the same do nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        planted = (
            "<script>document.title='hacked'</script><img src=nowhere.png onerror=\"document.title='hacked'\">"
            f"<p id=planted style='color:rgb(1,2,3)'>x</p><link rel=stylesheet href='{origin}'>"
            f"<img src='{origin}/x.png'><video src='{origin}/x.mp4'></video><form action='{origin}'></form>"
        )
        path = report.with_name("planted.html")
        path.write_text(report.read_text(encoding="utf-8").replace("</header>", planted), encoding="utf-8")
        with open_page(path) as opened:
            assert "a run" == opened.page.title()
            assert "rgb(1, 2, 3)" != opened.page.evaluate("getComputedStyle(document.getElementById('planted')).color")
            opened.page.wait_for_timeout(300)
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):  # nobody has called
                listener.accept()
            opened.page.evaluate("document.querySelector('form').submit()")
            opened.page.wait_for_timeout(300)
            assert report.parent.as_uri() in opened.page.url
            assert 7 == sum("Content Security Policy" in complaint for complaint in opened.complaints)


def scroll_through(page) -> None:
    """Scroll to the end of the page again and again, until no more jobs are to come."""
    for _ in range(1000):
        if not page.locator("#more").is_visible():
            return
        # Not by the key: Chromium animates that, and an animation that still runs undoes the jump to the results.
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        page.wait_for_timeout(30)
    pytest.fail("no more jobs come at the end of the page")


def test_more_jobs_come_while_scrolling(open_page, write_report, sample_run) -> None:
    """Sixty cards stand in the page at first; the others come when the end comes near, until all are there."""
    with open_page(write_report(sample_run.build_run(200))) as opened:
        assert 60 == opened.page.locator("article").count()
        opened.page.get_by_role("button", name="Show more").press("Enter")
        scroll_through(opened.page)
        assert 200 == opened.page.locator("article").count()
        opened.page.get_by_label("Find").fill("fox")
        assert opened.page.evaluate("Math.abs(document.getElementById('jobs').getBoundingClientRect().top) < 2")


LATE_REPORTS = """
const Prompt = window.IntersectionObserver;
window.IntersectionObserver = class extends Prompt {
  constructor(report, options) {
    const late = [];
    super((entries, observer) => {
      if (!late.length) setTimeout(() => report(late.splice(0), observer), 300);
      late.push(...entries);
    }, options);
  }
};
"""


def test_more_jobs_come_where_reports_are_late(open_page, write_report, sample_run) -> None:
    """A busy browser may report at once that the end went away and came back; more jobs come then, too."""
    with open_page(write_report(sample_run.build_run(200), with_files=False), before=LATE_REPORTS) as opened:
        opened.page.get_by_role("button", name="Show more").press("Enter")
        scroll_through(opened.page)
        assert 200 == opened.page.locator("article").count()


def test_everything_is_printed(open_page, write_report, sample_run) -> None:
    """Before it is printed, all that the filter lets through is put into the page."""
    with open_page(write_report(sample_run.build_run(200), with_files=False)) as opened:
        opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert 200 == opened.page.locator("article").count()


def test_a_filter_of_5000_jobs(open_page, write_report, sample_run) -> None:
    """Whatever is found among 5,000 jobs is counted, and the first sixty of it are in the page, so it stays quick."""
    run = sample_run.build_run(5_000)
    with open_page(write_report(run, with_files=False)) as opened:
        for words in ("fox", "lighthouse woodcut", "shot-4", "zzz", ""):
            opened.page.locator("#find").fill(words)
            found = sum(all(word in f"{row.key} {row.prompt}" for word in words.split()) for row in run)
            assert (words, f"{found:,}") == (words, opened.shown().partition(" ")[0])
            assert min(found, 60) == opened.page.locator("article").count()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_very_large_run_is_shown(open_page, write_report, sample_run, scripts) -> None:
    """Cards that wait for the script, so that a large page opens soon, are shown after it, and where there is none.

    The page has 10,000 cards at most, and says how many jobs the run has.
    """
    rows = [evolve(row, files=()) for row in sample_run.build_run(10_001)]
    with open_page(write_report(rows), java_script_enabled=scripts) as opened:
        assert opened.page.locator("article").first.is_visible()
        assert (60 if scripts else 10_000) == opened.page.locator("article").count()
        assert "10,001" in opened.page.locator("body").inner_text()


def test_the_gallery_for_notebooks(open_page, sample_run, run, tmp_path) -> None:
    """Its images and videos are shown with no style of the page around them."""
    sample_run.write_files(run[:24], tmp_path)
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{gallery(run)}", encoding="utf-8")
    with open_page(path) as opened:
        opened.page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert opened.page.get_by_text("and 16 more").is_visible()
        assert [] == opened.complaints
