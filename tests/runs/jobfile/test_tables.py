"""Tables as people have them: any columns, separators and encodings, and one sentence for equal faults."""

from __future__ import annotations

import pytest

from kling_async import ImageInput, InputError, Job
from kling_async.runs.jobfile import CellRow, JobfileSummary, Row, TableFormat, read_jobfile
from kling_async.runs.jobfile.grouping import grouped_faults
from kling_async.runs.jobfile.schema import csv_template
from kling_async.runs.jobfile.tables import parse_columns
from kling_async.types.inputs import VideoInput


def read(data: str | bytes, name: str = "jobs.csv", **table: object) -> list[Row]:
    """Read a job file of some lines."""
    lines = data.splitlines(keepends=True)
    return list(read_jobfile(lines, name=name, table=TableFormat(**table)))  # type: ignore[arg-type]


def jobs(rows: list[Row]) -> list[Job]:
    """Return the jobs of rows, which have no fault."""
    assert [] == [str(fault) for row in rows for fault in row.faults]
    return [job for row in rows for job in row.jobs]


def faults(rows: list[Row]) -> list[str]:
    """Return the faults of rows as texts."""
    return [str(fault) for row in rows for fault in row.faults]


def test_columns_of_the_users_own_are_labels() -> None:
    """What is no field comes back as a label under its own name; an empty cell is none."""
    [first, second] = jobs(read("key,prompt,notes,Client Name,label.scene\nk1,a cat,for May,ACME,3\nk2,a dog,,ACME,"))
    assert {"notes": "for May", "Client Name": "ACME", "scene": "3"} == first.labels
    assert {"Client Name": "ACME"} == second.labels


@pytest.mark.parametrize(
    ("column", "meant"),
    [("aspect", "aspect_ratio"), ("vidio", "video"), ("image_url", "image"), ("Ratio", "aspect_ratio"), ("id", "key")],
)
def test_a_name_that_is_near_that_of_a_field_is_a_fault(column: str, meant: str) -> None:
    """A typo would be paid for, so that it is no label; the fault says how to keep it as one."""
    [fault] = faults(read(f"prompt,{column}\na cat,x"))
    assert fault.startswith(f'jobs.csv:1: unknown column "{column.lower()}"; did you mean {meant}?')
    assert f"--column {column.lower()}=" in fault


@pytest.mark.parametrize("column", ["notes", "client", "sheet", "keywords", "sku", "Datum", "клиент"])
def test_names_that_are_near_none_are_labels(column: str) -> None:
    """Unrelated words are labels, also where a field is of similar length."""
    assert [{column: "x"}] == [job.labels for job in jobs(read(f"prompt,{column}\na cat,x"))]


def test_columns_are_renamed() -> None:
    """`NAME=COLUMN` says which column is which, makes one a label, or leaves it out."""
    text = "id,Text zum Bild,aspect,price\nk1,a cat,wide,12"
    columns = parse_columns(["id=key", "Text zum Bild=prompt", "aspect=label.aspect", "price="])
    assert [Job(ImageInput("a cat"), key="k1")] == (found := jobs(read(text, columns=columns)))
    assert {"aspect": "wide"} == found[0].labels


def test_wrong_columns_are_refused_at_once() -> None:
    """Names that are no column are all reported before anything is read, those that a table lacks with its header."""
    with pytest.raises(InputError) as caught:
        parse_columns(["id=kee", "a", "=key", "x=label.y"])
    assert 3 == len(caught.value.faults)
    assert "did you mean key?" in str(caught.value)
    [fault] = faults(read("prompt\na cat", columns={"id": "key"}))
    assert "jobs.csv:1: --column names what is no column here: id" == fault


def test_custom_id_is_a_key() -> None:
    """Job files for other tools name their rows `custom_id`; `label.NAME` is a label in JSONL too."""
    line = '{"custom_id": "a", "prompt": "a cat", "label.scene": "3"}'
    for found in (jobs(read("custom_id,prompt,label.scene\na,a cat,3")), jobs(read(line, "jobs.jsonl"))):
        assert [("a", {"scene": "3"})] == [(job.key, job.labels) for job in found]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_usual_separators_are_seen(separator: str) -> None:
    """The first line tells the separator."""
    assert [2] == [
        job.input.n for job in jobs(read(separator.join(("prompt", "n")) + "\n" + separator.join(("a", "2"))))
    ]


def test_any_separator_can_be_named() -> None:
    """One that cannot be told from the first line is asked for, and taken."""
    [fault] = faults(read("prompt^n\na^2"))
    assert fault.endswith('required column "prompt" is missing; is the separator another one? Name it with --delimiter')
    assert [2] == [job.input.n for job in jobs(read("prompt^n\na^2", delimiter="^"))]
    with pytest.raises(InputError, match="must be one character"):
        TableFormat(delimiter="::")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_byte_order_mark_tells_the_encoding(encoding: str) -> None:
    """What Excel writes as Unicode text is read."""
    text = "prompt;notes\r\nкот;для мая\r\n".encode(encoding)
    assert [("кот", {"notes": "для мая"})] == [(job.input.prompt, job.labels) for job in jobs(read(text))]


@pytest.mark.parametrize("encoding", ["cp1251", "utf-16-le", "shift_jis"])
def test_any_encoding_can_be_named(encoding: str) -> None:
    """One that cannot be told is asked for by its first wrong byte, and is read if it is named."""
    prompt = "кот" if encoding != "shift_jis" else "猫が起きる"
    text = f'prompt,n\n"{prompt}\nдва",2\n' if encoding != "shift_jis" else f"prompt,n\n{prompt},2\n"
    data = text.encode(encoding)
    if encoding != "utf-16-le":
        assert any("name the encoding with --encoding, such as cp1252" in fault for fault in faults(read(data)))
    [job] = jobs(read(data, encoding=encoding))
    assert job.input.prompt.startswith(prompt)


def test_a_wrong_encoding_is_reported_with_its_line() -> None:
    """A byte that the named encoding does not have is a fault of its line; an unknown encoding is refused at once."""
    [fault] = faults(read(b"prompt\na\nb\x81\n", encoding="cp1252"))
    assert "jobs.csv:3: encoding: is not cp1252: character 2 cannot be read" == fault
    with pytest.raises(InputError, match="must be the name of an encoding"):
        read(b"prompt\na", encoding="utf-17")


def test_rows_of_a_workbook() -> None:
    """Rows of cells keep their numbers; a column without a name must be empty."""
    rows = [
        CellRow(3, ["key", "prompt", "", "n"]),
        CellRow(5, ["1001", "a cat", "", "2"]),
        CellRow(6, ["", "x", "y", ""]),
    ]
    [good, bad] = list(read_jobfile(rows, name="jobs.xlsx"))
    assert [Job(ImageInput("a cat", n=2), key="1001")] == list(good.jobs)
    assert ["jobs.xlsx:6: line: has a cell in column 3, which has no name (is 'y')"] == list(map(str, bad.faults))


def test_equal_faults_are_one_sentence() -> None:
    """Ten rows with one fault are one sentence with their lines, also where the wrong values differ."""
    summary = JobfileSummary(["gptproto"])
    cells = [f"cat {number},{'two' if number not in (4, 7) else 2}" for number in range(1, 10)]
    for row in read("prompt,n\n" + "\n".join([*cells, "dog,three", "owl,1,2"])):
        summary.add(row)
    assert [
        "jobs.csv:2-4, 6-7, 9-11: n: must be a whole number (8 rows; in the first it is 'two')",
        "jobs.csv:12: line: has 3 cells, the header has 2; quote texts that contain the separator",
    ] == list(grouped_faults(summary.faults))
    assert ["jobs.csv:2: n: must be a whole number (is 'two')"] == list(grouped_faults(summary.faults[:1]))


@pytest.mark.parametrize("kinds", [(ImageInput,), (VideoInput,), (ImageInput, VideoInput)])
def test_the_template_is_a_job_file(kinds: tuple[type, ...]) -> None:
    """What `schema --csv` prints is read without a fault, and has a job of each kind."""
    found = jobs(read(csv_template(kinds)))
    assert list(kinds) == [type(job.input) for job in found]
    assert all(job.key and job.labels for job in found)
