"""The gallery for notebooks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kling_async.runs.report import gallery


def test_the_first_are_shown_and_the_others_counted(read, sample_run) -> None:
    """24 jobs are shown of however many; the line above counts all."""
    skeleton = read(gallery(sample_run.build_run(500)))
    assert 24 == sum(element == ("b",) for element in skeleton.elements)
    assert skeleton.text.startswith("500 jobs: 465 succeeded, 5 unconfirmed")
    assert skeleton.text.endswith("and 476 more")
    assert "more" not in read(gallery(sample_run.build_run(24))).text
    assert "1 job: " in read(gallery(sample_run.build_run(1))).text
    assert "0 jobs" == read(gallery([])).text


def test_it_holds_no_script_and_no_style_sheet(read, sample_run) -> None:
    """Only elements that a notebook keeps are used, and no address but those of files."""
    skeleton = read(gallery(sample_run.build_run(40)))
    assert {"div", "p", "a", "img", "video", "b", "br", "span"} == {element[0] for element in skeleton.elements}
    assert all(address.startswith("media/") for address in skeleton.addresses)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img onerror=alert(1)>', "\x00\ud800", "javascript:alert(1)"]
)
def test_hostile_text_adds_nothing(read, make_row, text) -> None:
    """What a prompt, a key, a cause or a path says stays text."""
    rows = [make_row(key=one, prompt=one, cause=one, status="failed", failure=one, files=(one,)) for one in ("x", text)]
    elements = [read(gallery([row])).elements for row in rows]
    gallery(rows).encode()
    assert elements[0] == elements[1]


def test_it_needs_no_template_library() -> None:
    """A notebook without the command line's libraries can show it."""
    code = "import sys; sys.modules['jinja2'] = None; from kling_async.runs.report import gallery; print(gallery([]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "0 jobs" in done.stdout


def test_objects_are_linked(read, make_row) -> None:
    """A file in an object store has a link with its name; nothing of it is loaded."""
    row = make_row(files=(), objects=("s3://bucket/runs/fox-0.png", "https://s3.example/fox-1.png?sign=1&x=2"))
    skeleton = read(gallery([row]))
    assert ["s3://bucket/runs/fox-0.png", "https://s3.example/fox-1.png?sign=1&x=2"] == skeleton.addresses
    assert "fox-0.png" in skeleton.text
    assert "fox-1.png" in skeleton.text
    assert not [element for element in skeleton.elements if element[0] in ("img", "video")]


def test_every_image_of_a_job_is_shown(read, make_row) -> None:
    """A job with several files has one image for each, up to nine, and the number of the others."""
    for count, shown, more in ((1, 1, ""), (4, 4, ""), (9, 9, ""), (12, 9, "+3 more")):
        skeleton = read(gallery([make_row(files=tuple(f"media/fox-{number}.png" for number in range(count)))]))
        assert shown == sum(element[0] == "img" for element in skeleton.elements)
        assert more in skeleton.text
        assert bool(more) == ("more" in skeleton.text)


def test_the_caption_is_the_prompt(read, make_row) -> None:
    """The prompt is the caption, and the key is there once; a job without a prompt has its key alone."""
    assert "a fox by candlelight" in read(gallery([make_row(key="fox-1", prompt="a fox by candlelight")])).text
    for prompt in ("a fox by candlelight", ""):
        assert 1 == gallery([make_row(key="k-17", prompt=prompt)]).count(">k-17<")
