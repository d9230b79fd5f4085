"""Rows 42 to 44: what a provider says that nobody should see, or not so much of."""

from __future__ import annotations

import csv
import gzip
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from kling_async import ImageInput, Job, rows
from kling_async.errors import AnswerLost, KlingError, PredictionFailed

from .answers import Answer, Script, accepted, poll_reply, refused, reply
from .conftest import OpenSite, client_of, named
from .promises import CANARY, check_no_key, shown_by, timed

pytestmark = pytest.mark.anyio

CAT = ImageInput(prompt="a cat")

# Row 42.

ESCAPED = "".join(f"\\u{ord(sign):04x}" for sign in CANARY)
GZIP = [("Content-Encoding", "gzip")]


def packed(body: bytes, *, status: str) -> Answer:
    return reply(gzip.compress(body, 0), status=status, headers=GZIP)


def with_key(text: str, key: str = CANARY) -> str:
    return text.replace("KEY", key)


SPELLINGS: dict[str, Callable[..., Answer]] = {
    "compressed": lambda text, status: packed(with_key(text).encode(), status=status),
    "in UTF-16": lambda text, status: reply(with_key(text).encode("utf-16"), status=status),
    "in UTF-16 without a mark": lambda text, status: reply(with_key(text).encode("utf-16-le"), status=status),
    "escaped": lambda text, status: reply(with_key(text, ESCAPED), status=status),
    "escaped, in UTF-16, packed": lambda text, status: packed(with_key(text, ESCAPED).encode("utf-16"), status=status),
}
REFUSAL = '{"error":{"message":"bad key KEY","code":"KEY","type":"KEY"},"KEY":["KEY"]}'
AS_AN_ID = '{"code":200,"message":"KEY","data":{"id":"KEY","status":"KEY"}}'
PAGE = "<html>Authorization: Bearer KEY</html>"


@pytest.mark.parametrize("spell", named(SPELLINGS))
@pytest.mark.parametrize(
    ("text", "status"),
    [(REFUSAL, "400 Bad Request"), (AS_AN_ID, "200 OK"), (PAGE, "200 OK")],
)
async def test_row_42_refused_with_the_key(
    site: OpenSite, tmp_path: Path, spell: Callable[..., Answer], text: str, status: str
) -> None:
    """However a reply spells the key, no error shows it, nor does the journal that the job is written down in."""
    here = site(Script(submit=[spell(text, status=status)]))
    async with (
        client_of(here, pace=1.0) as client,
        client.batch([Job(CAT, key="cat")], journal=tmp_path / "journal.db") as batch,
    ):
        [outcome] = [one async for one in batch]
    assert isinstance(outcome.error, KlingError)
    check_no_key(*shown_by(outcome.error), repr(rows([outcome])))


@pytest.mark.parametrize("spell", named(SPELLINGS))
@pytest.mark.parametrize("word", ["completed", "failed"])
async def test_row_42_told_with_the_key(
    site: OpenSite, tmp_path: Path, spell: Callable[..., Answer], word: str
) -> None:
    """A prediction that is read from such a reply shows the key in none of its fields, its raw reply included."""
    record = {"status": word, "outputs": ["https://a.test/KEY.png"], "error": "KEY", "KEY": {"KEY": ["KEY"]}}
    told = spell(json.dumps({"code": 200, "data": record}), status="200 OK").for_ever
    here = site(Script(submit=[accepted("p-1")], poll=[told]))
    async with client_of(here, pace=1.0, journal=tmp_path / "journal.db") as client:
        prediction = (await timed(lambda: client.submit(CAT), by=2.0)).well()
        seen = (await timed(lambda: client.refresh(prediction), by=2.0)).well()
    check_no_key(repr(seen), repr(seen.raw), repr(seen.outputs), pickle.dumps(seen))
    assert "[key]" in repr(seen.raw)


# Row 43.

CODES = "\x1b]52;c;ZXZpbA==\x07 \x1b[2J \x9b31m \u202eevil\u2066\u200f\u061c \r\n3 jobs: 3 succeeded\u2028\x85 =1+1"
EVIL = [sign for sign in CODES if not sign.isprintable()]


def check_no_code(*shown: str) -> None:
    """Hold that nothing that is shown holds a code, and that a message is one line."""
    for one in shown:
        assert not [sign for sign in EVIL if sign in one], ascii(one)


async def test_row_43_codes_in_a_refusal(site: OpenSite) -> None:
    """What a provider says in a refusal is one line of plain text in the error, its code as well."""
    here = site(Script(submit=[refused("400 Bad Request", {"error": {"message": CODES, "code": f"bad{CODES}"}})]))
    async with client_of(here, pace=1.0) as client:
        ended = await timed(lambda: client.submit(CAT), by=2.0)
    assert isinstance(ended.error, KlingError)
    assert ended.error.code is not None
    check_no_code(str(ended.error), ended.error.message, ended.error.code)
    assert "3 jobs: 3 succeeded =1+1" in ended.error.message


PAGES = {"UTF-8": reply(f"<p>{CODES}".encode()), "UTF-16": reply(f"<p>{CODES}".encode("utf-16"))}


@pytest.mark.parametrize("answer", named(PAGES))
async def test_row_43_codes_in_what_cannot_be_read(site: OpenSite, answer: Answer) -> None:
    """The beginning of a reply that cannot be read is shown without codes; lines and tabs of it stay."""
    here = site(Script(submit=[answer]))
    async with client_of(here, pace=1.0) as client:
        error = (await timed(lambda: client.submit(CAT), by=2.0)).badly(AnswerLost)
    assert error.excerpt.startswith("<p>")
    check_no_code(error.excerpt.replace("\n", ""), str(error))


async def test_row_43_codes_in_a_prediction(site: OpenSite) -> None:
    """Status, code and words of a failed prediction are plain text, and an address holds codes as it would be sent."""
    failed = poll_reply("failed", error={"message": CODES, "code": CODES})
    done = poll_reply("completed", ["https://a.test/\x1b[2J\u202e.png"])
    here = site(Script(poll=[poll_reply(CODES), failed, done]))
    async with client_of(here, pace=1.0) as client:
        prediction = (await timed(lambda: client.submit(CAT), by=2.0)).well()
        strange = (await timed(lambda: client.refresh(prediction), by=2.0)).well()
        check_no_code(strange.native_status.replace("\n", ""))
        ended = (await timed(lambda: client.refresh(prediction), by=2.0)).well()
        assert ended.failure is not None
        assert ended.failure.code is not None
        check_no_code(str(PredictionFailed(ended)), ended.failure.message, ended.failure.code)
        made = (await timed(lambda: client.refresh(prediction), by=2.0)).well()
    assert "https://a.test/%1B[2J%E2%80%AE.png" == made.outputs[0].url


def test_row_42_and_43_on_the_command_line(site: OpenSite, tmp_path: Path) -> None:
    """A run whose prompts and replies are full of codes, formulas and the key shows and writes none of them."""
    answer = packed(json.dumps({"error": {"message": f"{CODES} {CANARY}"}}).encode("utf-16"), status="400 Bad Request")
    here = site(Script(submit=[answer.free.for_ever]))
    prompt = f"\t=cmd|{CODES}"
    (tmp_path / "jobs.jsonl").write_text(json.dumps({"key": "=1+1", "prompt": prompt}) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "kling_async", "batch", "jobs.jsonl", "-o", "out", "--json"]
    environment = {**os.environ, "GPTPROTO_API_KEY": CANARY, "GPTPROTO_BASE_URL": here.origin, "FORCE_COLOR": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False, cwd=tmp_path)
    told, said = done.stdout.decode(), done.stderr.decode()
    assert 1 == done.returncode, said
    check_no_key(told, said)
    assert "\x1b[2J" not in said
    check_no_code(told.removesuffix("\n"), said.replace("\n", "").replace("\x1b[", ""))
    assert 1 == len(told.splitlines())
    assert prompt == json.loads(told)["prompt"]
    for name in ("results.jsonl", "failed.jsonl", "jobs.jsonl"):
        written = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert [prompt] == [json.loads(line)["prompt"] for line in written.splitlines()]
    with (tmp_path / "out/results.csv").open(encoding="utf-8-sig", newline="") as file:
        [row] = csv.DictReader(file)
    assert ("'=1+1", f"'{prompt}") == (row["key"], row["prompt"])
    check_no_code(row["error"])


# Row 44.


@pytest.mark.parametrize(("model", "most"), [("kling-image-o1", 17), ("kling-video-o1-std", 9), ("kling-v0", 17)])
async def test_row_44_thousands_of_outputs(site: OpenSite, model: str, most: int) -> None:
    """Of 5,000 outputs as many are taken as the model can be asked for, and 8 more; the reply is kept."""
    told = poll_reply("completed", [f"https://a.test/{number}.png" for number in range(5000)])
    here = site(Script(poll=[told]))
    async with client_of(here, pace=1.0) as client:
        known = (await timed(lambda: client.submit(CAT), by=2.0)).well()
        seen = (await timed(lambda: client.refresh(evolve(known, model=model)), by=2.0)).well()
    assert [f"https://a.test/{number}.png" for number in range(most)] == [one.url for one in seen.outputs]
    assert "https://a.test/4999.png" in json.dumps(seen.raw)
