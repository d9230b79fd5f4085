"""Sheets of jobs: what a line means, what is wrong with it and where, and that nothing is held."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, repeat
from typing import Any

import pytest
from attrs import asdict, fields
from hypothesis import given
from hypothesis import strategies as st

from kling_async import ImageInput, InputError, Job, Shot, VideoInput
from kling_async.providers import PROVIDERS
from kling_async.runs.jobfile import JobfileSummary, Row, dump_job, read_jobfile
from kling_async.runs.jobfile.columns import COLUMNS


def read(text: str | bytes, name: str = "jobs.jsonl", **options: Any) -> list[Row]:
    """Read a sheet from a text, as bytes."""
    data = text.encode() if isinstance(text, str) else text
    return list(read_jobfile(io.BytesIO(data), name=name, **options))


def jobs(rows: list[Row]) -> list[Job]:
    """Return the jobs of rows that have no fault."""
    assert [] == [str(fault) for row in rows for fault in row.faults]
    return [job for row in rows for job in row.jobs]


def told(rows: list[Row]) -> list[str]:
    """Return all faults."""
    return [str(fault) for row in rows for fault in row.faults]


def test_a_line_is_a_job() -> None:
    """A line of JSONL says an input, and what a job has beside it."""
    line = {"key": "a", "provider": "apiinone", "prompt": "cat", "images": ["https://x/1"], "n": 2, "extra.seed": 7}
    expected = ImageInput("cat", images=["https://x/1"], n=2, extra={"seed": 7})
    assert [Job(expected, key="a", provider="apiinone")] == jobs(read(json.dumps(line)))


KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "nothing": ({}, ImageInput("x")),
    "a model of videos": ({"model": "kling-3"}, VideoInput("x", model="kling-3")),
    "the kind alone": ({"kind": "video"}, VideoInput("x")),
    "both": ({"kind": "image", "model": "kling-image-o1"}, ImageInput("x", model="kling-image-o1")),
    "null is the default": ({"model": None, "n": None, "aspect_ratio": None}, ImageInput("x")),
    "a whole float": ({"n": 2.0}, ImageInput("x", n=2)),
    "shots": (
        {"kind": "video", "shots": [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3.0}]},
        VideoInput("x", shots=[Shot("a", 2), Shot("b", 3)]),
    ),
    "extra in two ways": ({"extra": {"a": 1, "b": 1}, "extra.b": 2}, ImageInput("x", extra={"a": 1, "b": 2})),
}


@pytest.mark.parametrize(("said", "expected"), KINDS.values(), ids=KINDS)
def test_the_kind_follows_from_what_is_said(said: dict[str, Any], expected: Any) -> None:
    """The model decides between an image and a video, or else the kind; what is null is left to its default."""
    assert [Job(expected)] == jobs(read(json.dumps({"prompt": "x", **said})))


def test_lines_that_say_nothing_are_skipped() -> None:
    """Blank lines and comments count as lines only; a byte order mark and CRLF are no part of a line."""
    rows = read('\ufeff# jobs\r\n\r\n{"prompt": "a"}\r\n   \r\n  # more\r\n{"prompt": "b"}')
    assert [(3, "a"), (6, "b")] == [(row.line, job.input.prompt) for row, job in zip(rows, jobs(rows), strict=True)]


def test_a_number_may_be_a_key() -> None:
    """Keys that are numbers elsewhere become texts."""
    assert ["7"] == [job.key for job in jobs(read('{"prompt": "a", "key": 7}'))]


def test_a_matrix_is_several_jobs() -> None:
    """`vars` are combined, or zipped; typed fields may be axes too, and the labels are kept."""
    line = {"key": "m", "prompt": "{who}", "vars": {"who": ["cat", "dog"], "d": [5, 10]}, "duration": "{d}"}
    rows = read(json.dumps({**line, "kind": "video"}))
    expected = [(f"m-{who}-{d}", who, d) for who in ("cat", "dog") for d in (5, 10)]
    assert expected == [(job.key, job.input.prompt, getattr(job.input, "duration", None)) for job in jobs(rows)]
    assert {"who": "cat", "d": "5"} == rows[0].jobs[0].labels
    zipped = read(json.dumps({**line, "kind": "video", "zip": True}))
    assert ["m-cat-5", "m-dog-10"] == [job.key for job in jobs(zipped)]


def test_without_vars_braces_are_braces() -> None:
    """Only a matrix fills anything in."""
    assert ["{a} {{b}}"] == [job.input.prompt for job in jobs(read('{"prompt": "{a} {{b}}"}'))]


CSV = """key,Prompt,model,n,images,multi-shot,extra.seed,extra.style\r
a,"a ""big"" cat, asleep",,2.0,https://x/1 | https://x/2,TRUE,7,film noir\r
\r
,"two
lines",,,,,,\r
"""


def test_a_spreadsheet_is_understood() -> None:
    """Quotes, lists, numbers and truths as texts, empty cells, blank rows, and headers as people write them."""
    rows = read(CSV, "jobs.csv")
    images = ["https://x/1", "https://x/2"]
    extra = {"seed": 7, "style": "film noir"}
    assert [
        Job(ImageInput('a "big" cat, asleep', n=2, images=images, multi_shot=True, extra=extra), key="a"),
        Job(ImageInput("two\nlines")),
    ] == jobs(rows)
    assert [2, 4] == [row.line for row in rows]


def test_words_that_look_like_numbers_stay_words() -> None:
    """In `extra` a text is JSON where it is JSON, and text where it is not."""
    text = "prompt,extra.a,extra.b,extra.c,extra.d\nx,NaN,007,1e3,[1"
    assert [{"a": "NaN", "b": "007", "c": 1000.0, "d": "[1"}] == [job.input.extra for job in jobs(read(text, "j.csv"))]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators_are_seen(separator: str) -> None:
    """Spreadsheets of many countries separate by semicolons, and some tools by tabs."""
    text = separator.join(["prompt", "n"]) + "\n" + separator.join(["a, b", "3"])
    assert [Job(ImageInput("a, b", n=3))] == jobs(read("\ufeff" + text, "jobs.csv"))


def test_videos_in_a_spreadsheet() -> None:
    """Shots are written as on the command line, truths in any case."""
    text = "prompt,kind,shots,keep_original_sound,duration\nx,video,a = b=2|c=3,no,5"
    assert [Job(VideoInput("x", shots=[Shot("a = b", 2), Shot("c", 3)], keep_original_sound=False))] == jobs(
        read(text, "jobs.csv")
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("-", '\n\n{"prompt": "a"}'),
        ("-", '# first\n{"prompt": "a"}'),
        ("-", "\n\ufeffprompt\na"),
        ("-", "prompt\na"),
        ("a.CSV", "prompt\na"),
        ("a.ndjson", '{"prompt": "a"}'),
        ("my.prompts", "prompt\na"),
    ],
)
def test_the_format_is_told_by_the_name_or_the_first_line(name: str, text: str) -> None:
    """A suffix decides, and where there is none the first line that says something."""
    assert ["a"] == [job.input.prompt for job in jobs(read(text.removeprefix("\n\ufeff"), name))]
    assert [] == read("", name)


def test_the_format_may_be_said() -> None:
    """What is asked for goes before the suffix."""
    assert ["a"] == [job.input.prompt for job in jobs(read("prompt\na", "jobs.jsonl", format="csv"))]


def test_settings_hold_for_all_rows() -> None:
    """A setting goes before what a row says; without a value it is the default again."""
    text = '{"prompt": "a", "n": 5, "resolution": "2k"}\n{"prompt": "b", "extra": {"a": 1}}'
    rows = read(text, settings=["n=2", "resolution=", "extra.b=2", "provider=apiinone"])
    assert [
        Job(ImageInput("a", n=2, extra={"b": 2}), provider="apiinone"),
        Job(ImageInput("b", n=2, extra={"a": 1, "b": 2}), provider="apiinone"),
    ] == jobs(rows)


def test_a_setting_that_does_not_fit_is_reported_as_one() -> None:
    """A fault of a value that is set for all rows says so."""
    [fault] = told(read('{"prompt": "a"}\n{"prompt": "a", "kind": "video"}', settings=["n=2"]))
    problem = "is for images only, but the model makes videos; it is set for all rows"
    assert f"jobs.jsonl:2: n: {problem} (is 2)" == fault


def test_invalid_settings_are_reported_before_any_row() -> None:
    """A setting that cannot be read is an error at once, before a line is read."""
    with pytest.raises(InputError) as caught:
        read_jobfile(iter(()), name="jobs.jsonl", settings=["n=two", "duratoin=5", "scene", "key=a"])
    text = str(caught.value)
    for part in ("n='two': must be a whole number", "did you mean duration?", "must be NAME=VALUE", "key='a'"):
        assert part in text


LINES = {
    "typo": ('{"prompt": "a", "aspect": "1:1"}', 'unknown column "aspect"; did you mean aspect_ratio?'),
    "unknown": ('{"prompt": "a", "zzz": 1}', 'unknown column "zzz"; the columns are key, provider, kind, prompt'),
    "nameless extra": ('{"prompt": "a", "extra.": 1}', 'unknown column "extra."'),
    "type": ('{"prompt": "a", "n": "2"}', "n: must be a whole number (is '2')"),
    "no list": (
        '{"prompt": "a", "images": "https://x"}',
        "images: must be a list, and each must be a URL, a Path",
    ),
    "no prompt": ("{}", "prompt: is missing"),
    "prompt null": ('{"prompt": null}', "prompt: is missing"),
    "kind": ('{"prompt": "a", "kind": "audio"}', "kind: must be image or video (is 'audio')"),
    "kind, no text": ('{"prompt": "a", "kind": [1]}', "kind: must be image or video (is [1])"),
    "kind and model": (
        '{"prompt": "a", "kind": "video", "model": "kling-image-o1"}',
        "kind: must be image, the kind of",
    ),
    "model": ('{"prompt": "a", "model": "kling-image-01"}', "model: must be one of kling-2.1-master, "),
    "model, no text": ('{"prompt": "a", "model": 3}', "model: must be the name of a model, or None (is 3)"),
    "foreign": ('{"prompt": "a", "duration": 5}', "duration: is for videos only, but the model makes images (is 5)"),
    "foreign to videos": ('{"prompt": "a", "kind": "video", "n": 2}', "n: is for images only"),
    "provider": (
        '{"prompt": "a", "provider": "gptprot"}',
        f"provider: must be one of {', '.join(PROVIDERS)}; did you mean gptproto?",
    ),
    "provider, no text": ('{"prompt": "a", "provider": ["x"]}', "provider: must be text (is ['x'])"),
    "empty key": ('{"prompt": "a", "key": ""}', "key: must be 1 to 200 printable characters (is '')"),
    "key, no text": ('{"prompt": "a", "key": true}', "key: must be text (is True)"),
    "shots, no list": ('{"prompt": "a", "kind": "video", "shots": "x"}', "shots: must be a list of {prompt, duration}"),
    "shot": ('{"prompt": "a", "kind": "video", "shots": [{"prompt": "b"}]}', "shots: entry 1 must have prompt and"),
    "shot, type": (
        '{"prompt": "a", "kind": "video", "shots": [{"prompt": "b", "duration": "5"}]}',
        "shots: entry 1: duration must be a whole number of seconds (is '5')",
    ),
    "extra": ('{"prompt": "a", "extra": 5, "extra.a": 1}', "extra: must be a JSON-serializable mapping"),
    "no JSON": ('{"prompt": "a" "n": 2}', "line: is not JSON: Expecting ',' delimiter at character 16"),
    "cut short": ('{"prompt": "a', "line: is not JSON: Unterminated string"),
    "list": ('[{"prompt": "a"}]', "line: must be one object, not a list; `jq"),
    "list over lines": ("[", "line: must be one object, not a list; `jq"),
    "number": ("5", "line: must be one object, such as"),
    "too deep": ('{"prompt": ' + "[" * 100_000, "line: has a number that is too long, or too many nested brackets"),
    "too long": ('{"prompt": ' + "9" * 5000 + "}", "line: has a number that is too long, or too many nested brackets"),
    "no number": ('{"prompt": "a", "extra.a": NaN}', "line: is not a JSON number (is 'NaN')"),
    "name twice": ('{"prompt": "a", "n": 1, "n": 2}', 'duplicate name "n"'),
    "encoding": (
        b'{"prompt": "caf\xe9"}',
        "encoding: must be UTF-8, but byte 16 is 0xe9; name the encoding with --encoding",
    ),
    "vars": ('{"prompt": "a", "vars": ["x"]}', "vars: must be an object of lists"),
    "zip alone": ('{"prompt": "a", "zip": true}', "zip: needs vars"),
    "zip, no truth": ('{"prompt": "{a}", "zip": 1, "vars": {"a": ["x"]}}', "zip: must be true or false (is 1)"),
    "matrix": ('{"prompt": "{b}", "vars": {"a": ["x"]}}', "prompt: is not an axis (is '{b}')"),
    "matrix, typed": ('{"prompt": "{a}", "n": "{a}", "vars": {"a": ["x"]}}', "n: must be a whole number (is 'x')"),
}


@pytest.mark.parametrize(("line", "expected"), LINES.values(), ids=LINES)
def test_a_wrong_line_is_reported_with_its_place(line: str | bytes, expected: str) -> None:
    """Each fault says file, line, field and what is wrong; the lines around it are read all the same."""
    good = b'{"prompt": "good"}'
    data = line if isinstance(line, bytes) else line.encode()
    rows = read(b"\n".join([good, data, good]))
    assert [1, 0, 1] == [len(row.jobs) for row in rows]
    assert any(text.startswith(f"jobs.jsonl:2: {expected}") for text in told(rows)), told(rows)


CELLS = {
    "number": ("prompt,n\na,two", "2: n: must be a whole number (is 'two')"),
    "half a number": ("prompt,n\na,1.5", "2: n: must be a whole number (is '1.5')"),
    "endless number": ("prompt,n\na,inf", "2: n: must be a whole number (is 'inf')"),
    "truth": ("prompt,multi_shot\na,perhaps", "2: multi_shot: must be true or false (is 'perhaps')"),
    "shots": ("prompt,kind,shots\na,video,b", "2: shots: must be PROMPT=SECONDS|PROMPT=SECONDS (is 'b')"),
    "extra": ("prompt,extra\na,b", "2: extra: must be a JSON object (is 'b')"),
    "typo": ("prompt,vidio\na,b", '1: unknown column "vidio"; did you mean video?'),
    "matrix": ("prompt,vars\na,b", '1: unknown column "vars"'),
    "nameless": ("prompt,\na,b", "1: header: has a column without a name"),
    "twice": ("prompt,n,N\na,1,2", '1: duplicate column "n"'),
    "no prompt": ("n\n2", '1: required column "prompt" is missing'),
    "empty prompt": ("prompt,n\n ,2", "2: prompt: is missing"),
    "too few": ("prompt,n\na", "2: line: has 1 cells, the header has 2"),
    "too many": ("prompt,n\na,1,b", "2: line: has 3 cells, the header has 2"),
    "open quote": ('prompt,n\n"a,1\nb,2', "2: line: is not CSV: unexpected end of data"),
    "quote inside": ('prompt,n\n"a"b,1', "2: line: is not CSV: ',' expected after '\"'"),
    "encoding": (b"prompt,n\na\xff,1", "2: encoding: must be UTF-8, but byte 2 is 0xff"),
    "encoding of nothing": (b"prompt\n\xa0\n", "2: encoding: must be UTF-8, but byte 1 is 0xa0"),
    "workbook": (b"PK\x03\x04\x14\x00", "1: format: is a workbook: its name must end in .xlsx, .xls or .ods"),
    "id for key": ("id,prompt\na,b", '1: unknown column "id"; did you mean key?'),
    "label without a name": ("label.,prompt\na,b", '1: unknown column "label."'),
}


@pytest.mark.parametrize(("text", "expected"), CELLS.values(), ids=CELLS)
def test_a_wrong_cell_is_reported_with_its_place(text: str | bytes, expected: str) -> None:
    """Faults of CSV say file, line, field and what is wrong."""
    assert any(one.startswith(f"jobs.csv:{expected}") for one in told(read(text, "jobs.csv")))


def test_all_faults_of_a_row_are_reported_at_once() -> None:
    """A row reports all its faults, each once, however many jobs it would make."""
    line = '{"n": "x", "key": 1.5, "provider": "p", "colour": 1, "images": ["{a}"], "vars": {"a": ["x", "y"]}}'
    assert ["key", "prompt", "colour", "n", "provider"] == [fault.field for fault in read(line)[0].faults]
    cells = "prompt,n,duration,multi_shot\n,x,y,z"
    found = [fault.field for fault in read(cells, "jobs.csv")[0].faults]
    assert ["n", "duration", "multi_shot", "prompt"] == found


def test_one_key_names_one_job_of_the_file() -> None:
    """A second job with a key is rejected, and both lines are named, matrices included."""
    text = '{"prompt": "a", "key": "x-1"}\n\n{"prompt": "{v}", "key": "x", "vars": {"v": [1, 2]}}'
    [fault] = told(read(text))
    assert 'jobs.jsonl:3: duplicate key "x-1" (first used on line 1)' == fault


def test_texts_are_read_too() -> None:
    """Lines may be texts already, as of a terminal."""
    rows = list(read_jobfile(iter(["\ufeffprompt\n", "a\n"]), name="-"))
    assert ["a"] == [job.input.prompt for job in jobs(rows)]


def test_a_long_file_is_not_kept_in_memory() -> None:
    """Rows are read one by one, from a source without end, and memory does not grow with them."""
    endless: Iterator[bytes] = chain([b"prompt,n\n"], repeat(b"a cat,2\n"))
    rows = read_jobfile(endless, name="-")
    next(rows)
    tracemalloc.start()
    for _ in range(20_000):
        next(rows)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 200_000


def test_a_summary_checks_counts_and_prices() -> None:
    """It checks whether a provider accepts each row, counts the jobs, and adds up their prices."""
    summary = JobfileSummary(["apiinone"])
    lines = [
        {"prompt": "a cat", "n": 2},
        {"prompt": "a {what}", "vars": {"what": ["cat", "dog"]}, "aspect_ratio": "5:1"},
        {"prompt": "a cat", "n": "x"},
        {"key": "m", "prompt": "a {what}", "vars": {"what": ["cat", "dog"]}},
        {"prompt": "a cat", "model": "kling-3"},
    ]
    rows = [summary.add(row) for row in read("\n".join(map(json.dumps, lines)))]
    assert [1, 0, 0, 2, 1] == [len(row.jobs) for row in rows]
    assert (5, 4, 2) == (summary.rows, summary.jobs, summary.faulty)
    [ratio, number] = map(str, summary.faults)
    assert ratio.startswith("jobs.jsonl:2: aspect_ratio: must be one of ")
    assert ratio.endswith("(is '5:1')")
    assert "jobs.jsonl:3: n: must be a whole number (is 'x')" == number
    assert (Decimal("3.036"), Decimal("3.036"), 4) == (
        summary.estimate.low,
        summary.estimate.high,
        summary.estimate.priced,
    )


def test_a_summary_of_two_providers() -> None:
    """With several providers a row needs one that takes it, and the price is known if all that take it say theirs."""
    line = '{"prompt": "a cat"}'
    both = JobfileSummary(["gptproto", "apiinone"])
    assert both.add(read(line)[0]).jobs
    assert ("kling-image-o1",) == both.estimate.unpriced
    told_price = JobfileSummary(["gptproto", "apiinone"], prices={"kling-image-o1": Decimal("0.03")})
    told_price.add(read(line)[0])
    assert (Decimal("0.03"), True) == (told_price.estimate.high, told_price.estimate.known)
    named = JobfileSummary(["gptproto"])
    named.add(read('{"prompt": "a cat", "provider": "apiinone"}')[0])
    assert Decimal("0.012") == named.estimate.low


def test_a_summary_keeps_the_first_faults() -> None:
    """A sheet that is wrong all over does not fill the memory; the count goes on."""
    summary = JobfileSummary(["gptproto"])
    for row in read("5\n" * 1500):
        summary.add(row)
    assert (1500, 1000) == (summary.faulty, len(summary.faults))


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12)
WORD = st.from_regex(r"[a-z0-9:/._-]{1,12}", fullmatch=True)
JSON = st.booleans() | st.integers() | TEXT | st.lists(TEXT, max_size=2)
PROMPT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1).filter(str.strip)
EXTRA = st.dictionaries(WORD, JSON, max_size=2)
URL = WORD.map("https://x.test/{}".format)
"""Media by their URLs: any other text is the path of a file."""
IMAGE = st.builds(
    ImageInput,
    PROMPT,
    images=st.lists(URL, max_size=3),
    aspect_ratio=st.none() | WORD,
    resolution=WORD,
    n=st.integers(-5, 20),
    multi_shot=st.booleans(),
    extra=EXTRA,
)
VIDEO = st.builds(
    VideoInput,
    PROMPT,
    model=st.sampled_from(["kling-3", "kling-video-o1-std"]),
    image=st.none() | URL,
    last_image=st.none() | URL,
    images=st.lists(URL, max_size=3),
    video=st.none() | URL,
    keyframes=st.lists(URL, max_size=2),
    videos=st.lists(URL, max_size=2),
    audios=st.lists(URL, max_size=2),
    aspect_ratio=st.none() | WORD,
    duration=st.integers(-5, 20),
    resolution=st.none() | WORD,
    sound=st.none() | st.booleans(),
    negative_prompt=st.none() | WORD,
    shots=st.lists(st.builds(Shot, TEXT.filter(lambda text: "|" not in text), st.integers(0, 20)), max_size=3),
    keep_original_sound=st.booleans(),
    scene=st.none() | WORD,
    extra=EXTRA,
)
INPUTS = st.lists(IMAGE | VIDEO, min_size=1, max_size=4)


@given(INPUTS)
def test_what_is_written_as_jsonl_is_read(inputs: list[ImageInput | VideoInput]) -> None:
    """Any input, written as a line of JSON, is read as the same input."""
    lines = [json.dumps(asdict(input)) for input in inputs]
    assert [Job(input) for input in inputs] == jobs(read("\n".join(lines)))


@given(INPUTS)
def test_what_is_written_as_csv_is_read(inputs: list[ImageInput | VideoInput]) -> None:
    """Any input, written as a row of CSV, is read as the same input; fields of other inputs stay empty."""
    names = list(dict.fromkeys(field.name for input in inputs for field in fields(type(input))))
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, names)
    writer.writeheader()
    for input in inputs:
        cells = {field.name: getattr(input, field.name) for field in fields(type(input))}
        for name in {"images", "keyframes", "videos", "audios"} & cells.keys():
            cells[name] = "|".join(cells[name])
        cells["extra"] = json.dumps(dict(input.extra)) if input.extra else ""
        if isinstance(input, VideoInput):
            cells["shots"] = "|".join(f"{shot.prompt}={shot.duration}" for shot in input.shots)
        writer.writerow(cells)
    assert [Job(input) for input in inputs] == jobs(read(file.getvalue(), "jobs.csv"))


PIECES = st.sampled_from(
    ['{"prompt": ', '"a"', "{a}", '"vars": {"a": [1]}', '"zip": true', "}", ", ", "prompt,n\n", '"', "\0"]
)


@given(st.binary(max_size=60) | st.lists(PIECES, max_size=8).map(lambda pieces: "".join(pieces).encode()))
def test_no_file_is_too_strange(data: bytes) -> None:
    """Whatever is in a file, each row is jobs or faults, and reading comes to its end."""
    for name in ("a.jsonl", "a.csv", "-"):
        for row in read(data, name):
            assert bool(row.jobs) != bool(row.faults)


WEIRD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*COLUMNS, "vars", "zip", "extra.a"]), WEIRD, max_size=6))
def test_no_value_is_too_strange(line: dict[str, Any]) -> None:
    """Whatever a column holds, the row is jobs or faults."""
    [row] = read(json.dumps(line))
    assert bool(row.jobs) != bool(row.faults)


JOBS = st.builds(
    Job,
    st.builds(ImageInput, st.text(), n=st.integers(1, 9), images=st.lists(st.text(), max_size=2))
    | st.builds(
        VideoInput,
        st.text(),
        image=st.none() | st.text(),
        shots=st.lists(st.builds(Shot, st.text(), st.integers()), max_size=2),
        extra=st.dictionaries(st.text(min_size=1), st.booleans() | st.lists(st.text()), max_size=2),
    ),
    key=st.text("abc-_. ü", min_size=1, max_size=9),
    provider=st.none() | st.just("apiinone"),
    labels=st.dictionaries(st.text(), st.text(), max_size=2),
)


@given(JOBS)
def test_a_job_can_be_written_down_and_read_again(job: Job) -> None:
    """A line that was made of a job makes the same job, with its labels."""
    [row] = read_jobfile([f"{dump_job(job)}\n"], name="jobs.jsonl")
    assert ((job,), ()) == (row.jobs, row.faults)
    assert job.labels == row.jobs[0].labels


def test_labels_of_a_row_are_kept_beside_those_of_its_matrix() -> None:
    """A row may say labels of its own; what is no object of texts is a fault."""
    [row] = read('{"prompt": "{who}", "vars": {"who": ["cat"]}, "labels": {"day": "1"}}')
    assert {"day": "1", "who": "cat"} == row.jobs[0].labels
    [wrong] = read('{"prompt": "x", "labels": {"day": 1}}')
    assert "labels: must be an object of strings" in str(wrong.faults[0])
