"""A user's script that is interrupted: `python program.py WHAT URL FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from kling_async import Event, EventKind, ImageInput, Job, Limits
from kling_async.blocking import Client

WHAT, URL, FOLDER = sys.argv[1:]


def say(text: str) -> None:
    """Write a line for the test, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def listen(event: Event) -> None:
    """Say what happens to the jobs."""
    if event.kind in {EventKind.SUBMITTED, EventKind.ACCEPTED}:
        say(f"{event.kind} {event.key}")


def jobs(prompt: str) -> Iterator[Job]:
    """Yield more jobs than the test waits for."""
    for number in range(1000):
        yield Job(ImageInput(f"{number} {prompt}"), key=f"k{number}")


def run_batch(client: Client, prompt: str, *, stop_on_signals: bool) -> None:
    """Say each outcome."""
    with client.batch(jobs(prompt), journal=f"{FOLDER}/jobs.db", stop_on_signals=stop_on_signals) as batch:
        for outcome in batch:
            say(f"outcome {outcome.job.key} {outcome.ok}")
    say("left")


def run() -> None:
    """Do what the first argument says."""
    limits = Limits(submit_per_second=50, poll_per_second=None, max_open=4)
    if WHAT == "never-closed":
        opened = Client(
            "apiinone", api_key="sk-sandbox", base_url=URL, limits=limits, journal=f"{FOLDER}/jobs.db"
        ).open()
        say(opened.submit(ImageInput("a cat [[slow:100000]]")).id)
        return
    with Client("apiinone", api_key="sk-sandbox", base_url=URL, limits=limits) as client:
        client.add_listener(listen)
        match WHAT:
            case "generate":
                client.generate(ImageInput("a cat [[slow:100000]]"), key="one")
            case "generate-in-flight":
                client.generate(ImageInput("a cat [[hang]]"), key="one")
            case "batch":
                run_batch(client, "cats [[slow:100000]]", stop_on_signals=False)
            case "batch-in-flight":
                run_batch(client, "cats [[hang]]", stop_on_signals=False)
            case "batch-stopping":
                run_batch(client, "cats [[slow:40]]", stop_on_signals=True)
            case "batch-leaving":
                run_batch(client, "cats [[slow:100000]]", stop_on_signals=True)
            case _:
                prediction = client.generate(ImageInput("a cat"), key="one")
                say("downloading")
                client.download(prediction, FOLDER)


run()
