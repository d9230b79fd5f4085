"""Workers in processes of their own: end to end, killed, gone for good, stopped, and without what they need."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from PIL import Image

from kling_async import ImageInput, Job, KlingError, machines
from kling_async.cli.doctor import describe_clock
from kling_async.testing import Fixed, Sandbox
from kling_async.types.jobs import Outcome

from ..postgres import PASSWORD, PostgresServer
from ..s3 import Bucket
from .test_enqueue import PIXEL
from .workers import Machines, WorkerProcess

pytest.importorskip("dbos")

Start = Callable[..., Machines]


@pytest.fixture
def start(postgres: PostgresServer, tmp_path: Path) -> Iterator[Start]:
    """Make an empty database and a sandbox whose jobs take so many seconds."""
    with ExitStack() as stack:

        def starting(*, seconds: float = 0.3, url: str | None = None, **settings: Any) -> Machines:
            sandbox = Sandbox(strict=True, image_latency=Fixed(seconds), **settings)
            place = postgres.url(postgres.database()) if url is None else url
            return stack.enter_context(Machines.running(place, tmp_path, sandbox))

        yield starting


def jobs(count: int, word: str = "cat") -> list[Job]:
    """Make jobs."""
    return [Job(ImageInput(f"a {word} {number}"), key=f"{word}-{number}") for number in range(count)]


def enqueue(there: Machines, given: list[Job], **settings: Any) -> machines.EnqueuedRun:
    """Write jobs into the database, as the run "spring"."""

    async def writing() -> machines.EnqueuedRun:
        place = there.folder / "out"
        call = {"database": there.url, "run": "spring", "provider": "gptproto", "save_to": place} | settings
        return await machines.enqueue(given, **call)

    return anyio.run(writing)


def outcomes(there: Machines, *, within: float = 60.0) -> list[Outcome]:
    """Wait for all outcomes of the run."""

    async def reading() -> list[Outcome]:
        with anyio.fail_after(within):
            return [one async for one in machines.outcomes(database=there.url, run="spring")]

    return anyio.run(reading)


def wait_for_tasks(there: Machines, count: int) -> None:
    """Wait until so many jobs are accepted."""
    until = time.monotonic() + 120.0
    while len(there.sandbox.tasks) < count:
        assert time.monotonic() < until, [one.text for one in there.started]
        time.sleep(0.01)


def charges(there: Machines, given: list[Job]) -> set[int]:
    """Return how often each job was charged."""
    return {there.sandbox.billed(job.input.prompt) for job in given}


def statuses(there: Machines) -> dict[str, int]:
    """Return the counts of the run, as the command prints them."""
    done = there.run("status", "spring", "--json")
    assert 0 == done.code, done.err
    counts: dict[str, int] = json.loads(done.out)["statuses"]
    return counts


def test_a_run_from_end_to_end(postgres: PostgresServer, start: Start, tmp_path: Path) -> None:
    """Two workers share a run: each job is paid once, every file is saved, and the password is in no output."""
    is_ours = postgres.is_ours
    url = postgres.user_url(postgres.database(owner="kling")) if is_ours else postgres.url(postgres.database())
    there, given = start(url=url), jobs(40)
    lines = [json.dumps({"prompt": job.input.prompt, "key": job.key}) for job in given]
    (tmp_path / "spring.jsonl").write_text("\n".join(lines), encoding="utf-8")
    shown = [there.run("enqueue", "spring.jsonl", "-o", "out"), there.run("status", "spring")]
    assert "No living worker has an API key for gptproto" in shown[0].err
    assert "GPTPROTO_API_KEY" in shown[0].err
    one, two = there.start("one", "--rate", "30"), there.start("two", "--rate", "30")
    found = outcomes(there)
    shown += [there.run("doctor"), there.run("enqueue", "spring.jsonl", "-o", "out")]
    assert "goes on" in shown[-1].err
    one.process.terminate()
    assert [0, 0] == [two.terminate(), one.end()]
    shown += [there.run(*words) for words in (("report", "spring"), ("unconfirmed", "spring"), ("resume", "spring"))]
    assert [0] * 7 == [done.code for done in shown]
    assert {True} == {outcome.ok for outcome in found}
    assert {job.key for job in given} == {outcome.job.key for outcome in found}
    assert {1} == charges(there, given)
    assert 40 == there.sandbox.submits == len(list((tmp_path / "out").iterdir()))
    assert min(log.text.count(" accepted ") for log in (one, two)) > 5
    assert {1} == {f"{one.text}{two.text}".count(f" {job.key} accepted ") for job in given}
    assert 40 == f"{one.text}{two.text}".count(" accepted ")  # one line for each change
    assert {"succeeded": 40} == statuses(there)
    assert (tmp_path / "spring" / "report.html").stat().st_size > 10_000
    assert 40 == len((tmp_path / "spring" / "results.jsonl").read_text(encoding="utf-8").splitlines())
    assert "Worker one" in shown[2].out
    told = "".join([one.text, two.text, *(done.out + done.err for done in shown)])
    assert PASSWORD not in told
    assert there.sandbox.key not in told


@pytest.mark.parametrize("name", ["one", pytest.param("another", marks=pytest.mark.long)])
def test_a_killed_worker_resumes_under_its_name(start: Start, name: str) -> None:
    """At once it goes on with what it had, and pays for nothing twice; under another name it would wait."""
    there, given = start(seconds=2.0), jobs(30)
    enqueue(there, given)
    killed = there.start("one", "--rate", "20")
    wait_for_tasks(there, 10)
    killed.kill()
    again = there.start(name, "--rate", "20")
    if name == "another":
        again.wait_for("worker another started")
        time.sleep(5.0)
        assert " resumed " not in again.text
        return
    again.wait_for("worker one started")
    assert again.wait_for(" resumed at gptproto ") < 15.0  # not by the end of its lease, which is at 30
    found = outcomes(there)
    unconfirmed = [outcome for outcome in found if not outcome.ok]
    assert 8 >= len(unconfirmed) == statuses(there).get("unconfirmed", 0)
    assert {1} == charges(there, [outcome.job for outcome in found if outcome.ok])
    assert charges(there, given) <= {0, 1}


def test_the_jobs_of_a_lost_worker_are_taken_over(start: Start) -> None:
    """Not before its lease has ended, and then without anybody's doing, the others finish what it had."""
    there, given = start(seconds=4.0), jobs(40)
    lost, other = (there.start(name, "--rate", "20", "--lease", "5") for name in ("lost", "other"))
    for one in (lost, other):
        one.wait_for(f"worker {one.name} started")
    enqueue(there, given)
    lost.wait_for("accepted")  # what it has takes seconds, in which it is killed
    lost.kill()
    seconds = other.wait_for("worker lost is gone: chunks of it that are taken over: [1-9]")
    assert seconds > 2.0  # it may have renewed its lease a third of it ago
    found = outcomes(there)
    assert {1} == charges(there, [outcome.job for outcome in found if outcome.ok])
    assert 8 >= sum(not outcome.ok for outcome in found)
    assert charges(there, given) <= {0, 1}
    assert "lost" not in there.run("doctor").out


def test_a_worker_that_is_stopped_gives_back_the_rest(start: Start) -> None:
    """SIGTERM lets it finish what is in flight, and submit nothing more; the next worker does the rest."""
    there, given = start(seconds=1.0), jobs(30)
    enqueue(there, given)
    stopped = there.start("one", "--rate", "4")
    wait_for_tasks(there, 10)
    assert 0 == stopped.terminate()
    assert "worker one stopped" in stopped.text
    submitted = there.sandbox.submits
    assert {"succeeded": submitted, "planned": 30 - submitted} == statuses(there)
    assert 10 <= submitted < 28
    there.start("two", "--rate", "50")
    assert {True} == {outcome.ok for outcome in outcomes(there)}
    assert {1} == charges(there, given)


def test_a_limit_stops_a_run_until_it_is_raised(start: Start) -> None:
    """`max_cost` is not exceeded, the reason is shown, and `resume --max-cost` goes on."""
    there, given = start(seconds=0.1), jobs(20)
    enqueue(there, given, max_cost=0.1, prices={"kling-image-o1": 0.02})
    there.start("one", "--rate", "50")
    with pytest.raises(KlingError, match="kling-async resume spring"):
        outcomes(there)
    shown = there.run("status", "spring")
    assert "held" in shown.err
    assert "max_cost" in shown.err
    assert 5 == there.sandbox.submits
    assert 0 == there.run("resume", "spring", "--max-cost", "1").code
    assert 20 == len(outcomes(there))
    assert {1} == charges(there, given)


@pytest.mark.long
def test_a_limit_holds_over_all_workers(start: Start) -> None:
    """Three workers spend no more than `max_cost` together."""
    there, given = start(seconds=0.5), jobs(60)
    enqueue(there, given, max_cost=0.5, prices={"kling-image-o1": 0.02})
    for number in range(3):
        there.start(f"worker-{number}", "--rate", "100")
    with pytest.raises(KlingError, match="kling-async resume spring"):
        outcomes(there)
    assert 25 == there.sandbox.submits
    assert {"succeeded": 25, "planned": 35} == statuses(there)


@pytest.mark.long
def test_a_refused_account_stops_the_worker(start: Start) -> None:
    """A worker whose account has no balance ends with the reason, and its jobs are left to others."""
    there = start(balance="0")
    enqueue(there, jobs(10))
    worker = there.start("one", "--rate", "50")
    assert 3 == worker.end()
    assert "InsufficientBalance" in worker.text
    assert {"planned": 10} == statuses(there)
    assert json.loads(there.run("status", "spring", "--json").out)["running"]


@pytest.mark.long
def test_an_unconfirmed_submission_is_resolved(start: Start) -> None:
    """A lost answer is listed, a decision is made by the command, and `resume` applies it."""
    there = start()
    enqueue(there, [*jobs(3), Job(ImageInput("lost [[lost]]"), key="lost"), Job(ImageInput("x [[lost]]"), key="gone")])
    there.start("one", "--rate", "50")
    assert 5 == len(outcomes(there))
    listed = [json.loads(line) for line in there.run("unconfirmed", "spring", "--json").out.splitlines()]
    assert {"lost", "gone"} == {one["key"] for one in listed}
    [id] = [id for id, task in there.sandbox.tasks.items() if task.spec.prompt.startswith("lost")]
    assert 0 == there.run("unconfirmed", "spring", "attach", "lost", id).code
    assert 0 == there.run("unconfirmed", "spring", "abandon", "gone").code
    assert "Workers go on with 1 chunk" in there.run("resume", "spring").err
    found = {one.job.key: one for one in outcomes(there)}
    assert found["lost"].ok
    assert "abandoned" in str(found["gone"].error)
    assert {"succeeded": 4, "abandoned": 1} == statuses(there)
    assert 5 == there.sandbox.billed()


@pytest.mark.long
def test_local_media_reach_the_workers_by_the_bucket(start: Start, bucket: Bucket, tmp_path: Path) -> None:
    """A file of this machine is fetched from the bucket by whichever worker has its job."""
    there = start()
    Image.new("RGB", (512, 512)).save(tmp_path / "a.png")
    given = [Job(ImageInput("a", images=[tmp_path / "a.png"]), key="a", provider="kling")]
    enqueue(there, given, storage=bucket.url, save_to=f"{bucket.url}/out")
    (tmp_path / "a.png").unlink()
    settings = {"KLING_BASE_URL": there.origin, "KLING_API_KEY": there.sandbox.key_for("kling")}
    there.start("one", **settings, **bucket.environ)
    [outcome] = outcomes(there)
    outcome.result()
    assert (f"{bucket.url}/out/a-0.png",) == outcome.files
    assert 1 == there.sandbox.submits


WITHOUT_JOURNAL = Path(__file__).with_name("worker_without_journal.py")


@pytest.mark.long
@pytest.mark.parametrize("journaled", [True, False])
def test_workers_that_are_killed_again_and_again(start: Start, *, journaled: bool) -> None:
    """However often they are killed, no job is paid twice; without the journal, some would be."""
    there, given, random = start(seconds=1.0), jobs(240), Random(7)
    program = ("-m", "kling_async") if journaled else (str(WITHOUT_JOURNAL),)

    def begin(name: str) -> WorkerProcess:
        return there.start(name, "--rate", "15", "--lease", "4", program=program)

    enqueue(there, given)
    workers = [begin(f"worker-{number}") for number in range(3)]
    wait_for_tasks(there, 10)
    for _ in range(9):
        time.sleep(random.uniform(0.4, 1.4))
        at = random.randrange(3)
        workers[at].kill()
        workers[at] = begin(f"worker-{at}")
    found = outcomes(there, within=120.0)
    assert 240 == len(found)
    assert (charges(there, given) <= {0, 1}) == journaled
    if journaled:
        assert {1} == charges(there, [outcome.job for outcome in found if outcome.ok])
        assert 9 * 8 >= sum(not outcome.ok for outcome in found) == statuses(there).get("unconfirmed", 0)


@pytest.mark.long
def test_a_database_that_is_gone_ends_the_worker(postgres: PostgresServer, start: Start) -> None:
    """It ends with the reason when the database does not come back, and goes on under its name when it does."""
    if not postgres.is_ours:
        pytest.skip("the server that was given is not to be killed")
    url = postgres.user_url(postgres.database(owner="kling"))
    there, given = start(seconds=2.0, url=url), jobs(30)
    enqueue(there, given)
    worker = there.start("one", "--rate", "20", "--lease", "3")
    wait_for_tasks(there, 10)
    postgres.kill()
    try:
        assert 1 == worker.end(within=60.0)
    finally:
        postgres.restart()
    told = worker.text.splitlines()[-1]
    assert told.startswith("JournalError")
    assert "Nothing was sent" not in told
    assert PASSWORD not in worker.text
    there.start("one", "--rate", "20", "--lease", "3")
    found = outcomes(there)
    assert 8 >= sum(not outcome.ok for outcome in found)
    assert charges(there, given) <= {0, 1}


@pytest.mark.parametrize(
    ("words", "settings", "code", "told"),
    [
        (("worker",), {"KLING_DATABASE": ""}, 2, "--database URL"),
        (("worker",), {"KLING_DATABASE": "mysql://u:canary-1@h/d"}, 2, "must begin with postgresql://"),
        (("worker",), {"KLING_DATABASE": "postgresql://u:canary-2@127.0.0.1:1/d"}, 1, "given as database"),
        (("worker",), {"GPTPROTO_API_KEY": ""}, 2, "GPTPROTO_API_KEY"),
        (("worker",), {"GPTPROTO_API_KEY": "", "FAL_KEY": "sk-canary-3"}, 2, "it needs gptproto"),
        (("worker", "--rate", "0"), {}, 2, "rate"),
        (("worker", "--lease", "1"), {}, 2, "lease"),
        (("status", "summer"), {}, 2, "The newest runs there: spring"),
        (("report", "summer"), {}, 2, "spring"),
        (("resume", "summer"), {}, 2, "spring"),
        (("resume", "spring", "--retry-failed"), {}, 2, "retry-failed"),
        (("unconfirmed", "summer"), {}, 2, "spring"),
        (("retry", "summer"), {}, 2, "spring"),
        (("retry", "spring"), {}, 2, 'No job of "spring" failed'),
        (("retry", "spring", "cat-0"), {}, 2, "has not ended"),
        (("retry", "spring", "cat-9", "--rate", "1"), {}, 2, "rate"),
        (("cancel", "summer"), {}, 2, "spring"),
        (("serve", "summer"), {}, 2, "spring"),
        (("cancel", "spring", "cat-0", "cat-9"), {}, 2, "is not in that run"),
        (("unconfirmed", "spring", "abandon", "nothing"), {}, 2, "nothing"),
        (("status", "spring"), {"KLING_DATABASE": ""}, 2, "No run found"),
        (("enqueue", "local.jsonl"), {}, 2, "none of three ways leads to GPTProto"),
        (("enqueue", "local.jsonl", "-p", "kling"), {}, 2, "has 1 x 1 pixels"),
        (("enqueue", "spring.jsonl"), {}, 2, "--run"),
        (("enqueue", "spring.jsonl", "--max-cost", "1", "--run", "x"), {}, 2, "prices"),
        (("enqueue", "nothing.jsonl"), {}, 2, "nothing.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_missing_is_told(input_errors: Machines, words: str, settings: Any, code: int, told: str) -> None:
    """Each is an error that names the setting, before anything is sent, and tells no secret."""
    done = input_errors.run(*words, **settings)
    assert code == done.code, done.err
    assert told in done.err
    assert "canary" not in done.out + done.err


def test_a_run_is_waited_for_and_a_job_of_it_found(start: Start) -> None:
    """Its workers end it; a job has the facts that the report has, with files as paths that can be opened."""
    there, given = start(), jobs(2)
    enqueue(there, given)
    there.start("one", "--rate", "20")
    assert 4 == there.run("wait", "spring", "--timeout", "0").code
    done = there.run("wait", "spring")
    assert (0, True) == (done.code, "2 jobs: 2 succeeded" in done.err)
    assert "2 of 2 (100%) done" in there.run("watch", "spring", "--exit-status").err
    found = json.loads(there.run("get", "spring", given[1].key or "", "--json").out)
    assert (given[1].key, "succeeded", given[1].input.prompt) == (found["key"], found["status"], found["prompt"])
    assert (there.folder / found["files"][0]).is_file()
    by_id = json.loads(there.run("get", "spring", found["id"], "--json", "key,submissions").out)
    assert (given[1].key, [found["id"]]) == (by_id["key"], [one["id"] for one in by_id["submissions"]])
    assert 2 == there.run("get", "spring", "nothing").code
    cost = json.loads(there.run("costs", "--json", "provider,submissions,succeeded").out)
    assert {"provider": "gptproto", "submissions": 2, "succeeded": 2} == cost
    shown = there.run("open", "spring", BROWSER="true %s")
    assert (0, "spring/report.html") == (shown.code, shown.out.strip())


def test_the_runs_of_a_database_are_listed(input_errors: Machines) -> None:
    """They are listed where the working directory has none, and below a folder that was named none is."""
    [line] = input_errors.run("runs", "--json", "run,jobs,statuses,running").out.splitlines()
    found = json.loads(line)
    assert ("spring", found["jobs"], "workers") == (found["run"], found["statuses"]["planned"], found["running"])
    assert "spring" in input_errors.run("runs").out
    done = input_errors.run("runs", ".")
    assert (0, "") == (done.code, done.out)
    assert "No run below" in done.err
    assert 0 == input_errors.sandbox.submits


@pytest.fixture(scope="module")
def input_errors(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Make a database with one run, and job files that are wrong for it."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "a.png").write_bytes(PIXEL)
    (folder / "spring.jsonl").write_text('{"prompt": "another one", "key": "cat-0"}', encoding="utf-8")
    (folder / "local.jsonl").write_text('{"prompt": "a", "images": ["a.png"]}', encoding="utf-8")
    with Machines.running(postgres.url(postgres.database()), folder, Sandbox(strict=True)) as there:
        enqueue(there, jobs(2))
        yield there


def test_two_living_workers_of_one_name(start: Start) -> None:
    """The second one is refused, and the first one goes on."""
    there = start()
    first = there.start("one")
    first.wait_for("worker one started")
    second = there.run("worker", "--name", "one")
    assert 1 == second.code
    assert "--name" in second.err
    assert f"process {first.process.pid}" in second.err
    enqueue(there, jobs(2))
    assert 2 == len(outcomes(there))
    assert 0 == first.terminate()


@pytest.mark.long
def test_a_worker_that_stands_still_loses_its_name(start: Start) -> None:
    """When its lease has ended, its name is free although its connection is there; it ends when it goes on."""
    there, given = start(seconds=0.5), jobs(6)
    still = there.start("one", "--lease", "3")
    still.wait_for("worker one started")
    still.process.send_signal(signal.SIGSTOP)
    assert 1 == there.run("worker", "--name", "one", "--lease", "3").code
    time.sleep(4.0)
    there.start("one", "--lease", "3").wait_for("worker one started")
    enqueue(there, given)
    assert 6 == len(outcomes(there))
    still.process.send_signal(signal.SIGCONT)
    assert 1 == still.end()
    assert "has lost its name" in still.text
    assert {1} == charges(there, given)


@pytest.mark.long
@pytest.mark.parametrize("fault", ["later", "no rights", "wrong password"])
def test_a_database_that_a_worker_cannot_use(postgres: PostgresServer, start: Start, fault: str) -> None:
    """A later schema, missing rights and a wrong password end a worker and `doctor` with the reason."""
    if not postgres.is_ours:
        pytest.skip("the server that was given has no user of ours")
    name = postgres.database()
    if fault == "later":
        there = start(url=postgres.url(name))
        enqueue(there, jobs(1))
        postgres.execute("UPDATE kling_async.version SET version = 99", database=name)
    else:
        there = start(url=postgres.user_url(name, password=PASSWORD if fault == "no rights" else "canary-9"))
    reason = {"later": "later kling_async", "no rights": "right to create", "wrong password": "authentication failed"}
    for words in (("worker", "--name", "one"), ("status", "spring")):
        done = there.run(*words)
        assert 1 == done.code
        assert reason[fault] in done.err
        assert PASSWORD not in done.err
        assert "canary" not in done.err
    doctor = there.run("doctor")
    assert 1 == doctor.code
    advice = {"later": "install a later one", "no rights": "grant CREATE", "wrong password": "authentication failed"}
    assert advice[fault] in " ".join(doctor.out.replace("│", " ").split())  # in the lines of a table of any width


def test_a_worker_without_its_extra(input_errors: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "dbos", None)
    done = input_errors.run("worker")
    assert 2 == done.code
    assert "pip install 'kling-async[dbos]'" in done.err


@pytest.mark.parametrize(("seconds", "warns"), [(29.0, False), (-29.0, False), (31.0, True), (-31.0, True)])
def test_a_clock_that_is_wrong(seconds: float, *, warns: bool) -> None:
    """Beyond 30 s between this machine and the database, `doctor` warns."""
    assert warns == ("set its clock" in describe_clock(seconds))


def test_a_run_that_was_removed_may_be_there_again(postgres: PostgresServer, start: Start) -> None:
    """A run of a name that an earlier one had is done as well, although the queue knows the earlier one's chunks."""
    there, given = start(seconds=0.1), jobs(2)
    there.start("one", "--rate", "50")
    enqueue(there, given)
    assert 2 == len(outcomes(there))
    name = urlsplit(there.url).path.removeprefix("/")
    for table in ("runs", "chunks", "jobs", "submissions"):
        postgres.execute(f"DELETE FROM kling_async.{table}", database=name)  # noqa: S608 - of constants
    enqueue(there, jobs(2, "dog"))
    assert {"dog-0", "dog-1"} == {outcome.job.key for outcome in outcomes(there) if outcome.ok}


@pytest.mark.long
def test_the_demo_of_machines(tmp_path: Path, postgres: PostgresServer) -> None:
    """One of three workers is killed, and each job is charged once."""
    with Machines.running(postgres.url(postgres.database()), tmp_path, Sandbox()) as there:
        done = there.run("demo", "--machines")
    assert 0 == done.code, done.err
    assert "is killed" in done.err
    assert "each job was charged once" in done.err
