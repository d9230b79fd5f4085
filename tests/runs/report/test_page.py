"""The report as a file."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.runs.report import ReportRow
from kling_async.runs.report.page import render
from kling_async.runs.report.rows import STATUSES
from kling_async.runs.report.summary import RunSummary
from kling_async.types.status import JobStatus

MADE_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
HOSTILE = (
    *(
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        "]]><!--",
        "{{ 7*7 }}",
    ),
    *('" onload="alert(1)', "' autofocus onfocus='alert(1)", "\u2028\u2029", "a\ud800b", "\x00", "&lt;b&gt;", "<!--"),
    *("</style><style>*{display:none}", "https://example.com/x", "//example.com/x", "../../x", "\u202etxet", "%"),
)


def page(rows, **told):
    return "".join(render(RunSummary.of(rows), **{"title": "a run", "made_at": MADE_AT, "version": "0.1.0"} | told))


def strange(text, *, path="x"):
    """Return rows that say this wherever something can be said."""
    told = {
        "provider": text,
        "model": text,
        "prompt": text,
        "failure": text,
        "cause": text,
        "advice": text,
        "files": (f"{path}.png", f"{path}.mp4"),
    }
    kinds = [("image", JobStatus.SUCCEEDED), ("video", JobStatus.SUCCEEDED), ("image", JobStatus.EXPIRED)]
    rows = [
        ReportRow(**told, key=text, position=place, kind=kind, status=status)
        for place, (kind, status) in enumerate(kinds)
    ]
    labels = [{text: one, f"{text}2": two, f"{text}3": three} for one in "ab" for two in "ab" for three in (text, "c")]
    rows += [
        ReportRow(**told, key=text, position=9, kind="image", status=JobStatus.FAILED, labels=labels)
        for labels in labels
    ]
    return rows


@pytest.fixture(scope="module")
def harmless(read):
    """Read the page that says nothing strange, to compare with."""
    return read(page(strange("x"), title="x", version="x", settings={"x": "x"}))


def test_figures_come_before_cards(sample_run) -> None:
    """The page of a large run comes in pieces; the first has all figures, so that they are seen at once."""
    rows = sample_run.build_run(2_000)
    first, *others = render(RunSummary.of(rows), title="a run", made_at=MADE_AT, version="0.1.0")
    assert "2,000" in first
    assert "Over time" in first
    assert 5 < len(others)
    assert all("Over time" not in other for other in others)


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_text_adds_nothing_to_a_page(read, harmless, text) -> None:
    """Whatever a prompt, a name or a path says, the page has the same elements with the same attributes."""
    written = page(strange(text, path=text), title=text, version=text, settings={text: text})
    written.encode()
    skeleton = read(written)
    assert harmless.elements == skeleton.elements
    assert [] == skeleton.strange


@given(text=st.text(st.characters(), min_size=1, max_size=40).filter(lambda text: text not in {*STATUSES, *"abc"}))
def test_any_text_is_only_text(read, harmless, text) -> None:
    """What hypothesis thinks of adds nothing either, and the file is UTF-8."""
    written = page(strange(text, path=f"m/{text}"), title=text, version=text, settings={text: text})
    written.encode()
    assert harmless.elements == read(written).elements


@pytest.mark.parametrize(
    "path", ["javascript:alert(1)", "https://example.com/x", "//example.com/x", "data:text/html,x"]
)
def test_addresses_are_relative(read, make_row, path) -> None:
    """No address leads to another scheme or host; only the page's own icon is data."""
    addresses = read(page([make_row(files=(path, "media/a b.png"))])).addresses
    assert "media/a%20b.png" in addresses
    assert all(re.fullmatch(r"#jobs|data:image/svg\+xml,.*|[^:/][^:]*", address) for address in addresses)


def test_text_comes_back_as_it_was(read, make_row) -> None:
    """A reader sees what was written, in any script."""
    for text in ("<b> & \"quotes\" 'too'", "雪の中を歩く赤い狐", "قطة نائمة", "👩\u200d🚀"):
        assert text in read(page([make_row(prompt=text)])).text


def test_the_policy_allows_one_script_and_one_style(read, make_row) -> None:
    """The hashes in the policy are those of the two, and nothing else may come from anywhere."""
    written = page([make_row()])
    [policy] = [value for value in read(written).attributes if value.startswith("default-src 'none'")]
    for name in ("script", "style"):
        [inline] = re.findall(f"<{name}>(.*?)</{name}>", written, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert not re.search(r"unsafe|https?:|\*", policy)
    assert not re.search(r"<[^>]+\s(style|on\w+)=", written)


def test_a_large_run_makes_a_small_file(sample_run) -> None:
    """5,000 jobs take at most 2 MB."""
    written = page(sample_run.build_run(5_000)).encode()
    assert len(written) <= 2_000_000
    assert 5_000 == written.count(b"<article")


def test_the_same_rows_make_the_same_page(sample_run) -> None:
    """A report depends on what it is given and on nothing else; the rows may come one by one."""
    rows = sample_run.build_run(60)
    assert page(rows) == page(iter(rows))


def test_unconfirmed_jobs_stand_out(read, make_row) -> None:
    """They come first, with what they may have cost and the three ways out; without any there is no such notice."""
    doubt = make_row(
        key="lost", position=5, status="unconfirmed", cause="the answer was lost", cost=Decimal("0.42"), files=()
    )
    text = read(page([make_row(), doubt])).text
    assert "1 job unconfirmed: money may have been spent, up to $0.42" in text
    assert all(way in text for way in ("Attach", "Resubmit", "Abandon"))
    assert text.index("lost") < text.index("fox")
    assert "money may have been spent" not in read(page([make_row()])).text


def test_a_failed_job_says_why_and_what_to_do(read, make_row) -> None:
    """Its card and the list of causes say it; a cause that many jobs share is said once in the list."""
    rows = [make_row(status="failed", cause="Not allowed.", advice="Change it.", files=()) for _ in range(3)]
    skeleton = read(page(rows))
    assert 4 == skeleton.text.count("Not allowed.") == skeleton.text.count("Change it.")


def test_many_causes_are_counted(read, make_row) -> None:
    """Eight causes are listed, the others counted."""
    rows = [make_row(status="failed", cause=f"cause {number}", files=()) for number in range(11)]
    assert "And 3 jobs for 3 other causes" in read(page(rows)).text


def test_a_page_says_what_matters_without_its_script(read, sample_run) -> None:
    """Totals, timeline and every job stand in the file; what needs the script is hidden until it runs."""
    written = page(sample_run.build_run(40))
    skeleton = read(written)
    for words in ("Succeeded", "Spent", "$3.81", "Elapsed", "2 min 55 s", "gptproto", "shot-0001", "shot-0040"):
        assert words in skeleton.text
    assert ("svg", "role", "aria-label") in skeleton.elements
    assert ("search", "hidden") in skeleton.elements
    outside = written.partition("<dialog")[0]  # a dialog is not shown until a script opens it
    buttons = [element for element in read(outside).elements if element[0] == "button" and "hidden" not in element]
    assert [("button", "type", "id")] == buttons  # inside what is hidden


def test_media(read, make_row) -> None:
    """Images are lazy and described, videos do not preload, and each links to its file."""
    rows = [
        make_row(files=("m/a.png", "m/b.png")),
        make_row(kind="video", files=("m/c.mp4",), prompt="waves"),
        make_row(kind="video", files=("m/d.jpg",)),
        make_row(kind="image", files=("m/e.MP4",)),
    ]
    skeleton = read(page(rows))
    assert 3 == skeleton.elements.count(("img", "src", "alt", "loading"))
    assert 2 == skeleton.elements.count(("video", "src", "controls", "preload", "aria-label"))
    assert {"a red fox", "image 2 of 2", "waves", "lazy", "none"} <= set(skeleton.attributes)
    for path in ("m/a.png", "m/b.png", "m/c.mp4", "m/d.jpg", "m/e.MP4"):
        assert 2 == skeleton.addresses.count(path)


def test_thumbnails_are_shown_in_place_of_images(read, make_row) -> None:
    """A thumbnail is shown, and leads to the image; what has none is shown itself, and so is a video."""
    files = ("media/a b-0.png", "media/a b-1.png", "media/a b-2.png")
    thumbnails = {files[0]: "thumbnails/a b-0.png.webp", files[2]: "thumbnails/a b-2.png.webp", "other": "x.webp"}
    skeleton = read(page([make_row(files=files, thumbnails=thumbnails)]))
    assert [
        *("media/a%20b-0.png", "thumbnails/a%20b-0.png.webp"),
        *("media/a%20b-1.png", "media/a%20b-1.png"),
        *("media/a%20b-2.png", "thumbnails/a%20b-2.png.webp"),
    ] == [address for address in skeleton.addresses if "a%20b" in address]
    video = read(page([make_row(kind="video", files=("media/a.mp4",), thumbnails={})]))
    assert {"media/a.mp4"} == {address for address in video.addresses if "media" in address}


def test_a_long_prompt_is_folded(read, make_row) -> None:
    """What would push its neighbours away can be opened, and is all there; a picture is described briefly."""
    prompt = "a fox in the snow " * 100
    skeleton = read(page([make_row(prompt=prompt)]))
    assert ("summary",) in skeleton.elements
    assert prompt in skeleton.text
    assert max(len(value) for value in skeleton.attributes if value.startswith("a fox")) < 50


def test_a_matrix_is_a_table_with_headings(read, sample_run) -> None:
    """Its rows and columns have the values as headings, and no job stands outside of it."""
    rows = list(sample_run.build_matrix(style=["ink", "oil"], animal=["fox", "cat", "owl"], light=["dawn", "dusk"]))
    skeleton = read(page(rows))
    assert 4 + 2 == sum(element == ("th", "scope", "dir") for element in skeleton.elements) - 4
    assert ("div", "class", "data-jobs") not in skeleton.elements
    assert 12 == sum(element[0] == "article" for element in skeleton.elements)


def test_a_matrix_with_other_jobs(read, sample_run, make_row) -> None:
    """Jobs without the variables follow under a heading of their own."""
    rows = [make_row(), *sample_run.build_matrix(animal=["fox", "cat"], light=["dawn", "dusk"])]
    assert "Other jobs" in read(page(rows)).text


def test_an_empty_run(read) -> None:
    """A run without jobs has a report that says so."""
    text = read(page([])).text
    assert "This run has no jobs." in text
    assert "Over time" not in text


def test_settings_and_times_are_told(read, make_row) -> None:
    """What else is told about the run is listed, and the time it began is given in the report's zone."""
    text = read(page([make_row(sent_at=MADE_AT.timestamp() - 3600)], settings={"money at most": "$80"})).text
    assert (
        "Started 21 November 2026, 08:30 UTC. Report created 21 November 2026, 09:30 UTC by kling_async 0.1.0." in text
    )
    assert "money at most" in text
    assert "$80" in text


def test_a_time_without_a_zone_is_refused(make_row) -> None:
    """Where it is what time is never guessed."""
    with pytest.raises(ValueError, match="time zone"):
        page([make_row()], made_at=MADE_AT.replace(tzinfo=None))


def test_unfinished_jobs_are_counted(read, make_row) -> None:
    """Unfinished jobs have their own number."""
    assert "Unfinished" in read(page([make_row(status="accepted", sent_at=1.0), make_row(status="planned")])).text
    assert "Unfinished" not in read(page([make_row()])).text


def test_several_submissions_are_told(read, make_row) -> None:
    """A card says how often its job was sent, if it was more than once."""
    assert "sent 3 times" in read(page([make_row(attempts=3)])).text
    assert "times" not in read(page([make_row(attempts=1)])).text


def test_a_large_run_has_ten_thousand_cards_and_says_so():
    """Those that failed or are unconfirmed have a card, wherever they are; every figure counts all jobs."""
    bad = {7: JobStatus.FAILED, 10_400: JobStatus.EXPIRED, 10_499: JobStatus.UNCONFIRMED}
    rows = [
        ReportRow(
            key=f"cat-{place}",
            position=place,
            provider="gptproto",
            model="m",
            kind="image",
            prompt="a cat",
            status=bad.get(place, JobStatus.SUCCEEDED),
            sent_at=1.0,
            finished_at=2.0,
            cost=Decimal("0.01"),
        )
        for place in range(10_500)
    ]
    text = page(rows)
    assert 10_000 == text.count("<article ")
    assert "Only 10,000 of 10,500 jobs have a card on this page" in text
    for place in (0, 7, 9997, 10_400, 10_499):
        assert f"<h3>cat-{place}</h3>" in text
    for place in (9998, 10_399):
        assert f"<h3>cat-{place}</h3>" not in text
    assert "<dt>Jobs</dt><dd>10,500</dd>" in text
    assert "<dt>Succeeded</dt><dd>10,497</dd>" in text
    assert "all <i>10,500</i>" in text
    less = page(rows[:10_000])
    assert 10_000 == less.count("<article ")
    assert "have a card on this page" not in less


def test_a_comparison_of_a_large_run_counts_every_job(make_row):
    """The totals of each target are those of all its jobs, also where most have no card."""
    rows = [
        make_row(key=f"{model}-{n}", position=2 * n + at, model=model, labels={"row": str(n), "model": model})
        for n in range(5200)
        for at, model in enumerate(("kling-image-o1", "kling-image-o3"))
    ]
    text = page(rows)
    assert 10_000 == text.count("<article ")
    assert 2 == text.count("5,200 of 5,200")
