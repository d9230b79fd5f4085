"""Cells in a real kernel: what each shows, and what it leaves behind."""

from __future__ import annotations

from .conftest import RunCells

BATCH = """
async with client.batch(jobs, save_to="out") as batch, show_progress(batch):
    outcomes = [outcome async for outcome in batch]
"""
TASKS = """
def names(awaited):
    while awaited is not None:
        yield getattr(awaited, "__qualname__", "")
        awaited = getattr(awaited, "cr_await", None)

def drawing():
    return any(name.endswith("._draw") for task in asyncio.all_tasks() for name in names(task.get_coro()))
"""
"""Whether a task draws a bar: what each task waits for, down to the event loop."""
INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(60)"
"""What the button that interrupts a cell does."""


def test_what_a_notebook_shows(run_cells: RunCells) -> None:
    """One bar that is updated in place, galleries with every image, short values, and a clock that stands still."""
    batch, elapsed, image, listed, table = run_cells(
        BATCH,
        "print(batch.progress.elapsed == batch.progress.elapsed)",
        '%load_ext kling_async\nawait client.generate(ImageInput("a fox by candlelight", n=4), key="fox")',
        "[client, batch, jobs, client.estimate(jobs)]",
        "rows(outcomes)[0]",
    )
    assert {} == batch.streams
    [bar] = batch.displays
    assert "30 of 30 (100%), ended after" in bar["text/html"]
    assert bar["text/plain"].startswith("30 of 30 (100%) done: 30 succeeded")
    assert batch.updates
    assert "True\n" == elapsed.streams["stdout"]
    assert 4 == image.result["text/html"].count("<img ")
    assert ">a fox by candlelight</span><br><b>fox</b> succeeded" in image.result["text/html"]
    assert len(listed.result["text/plain"]) < 3000
    assert " at 0x" not in listed.result["text/plain"]
    assert all(f"'{name}'" in table.result["text/plain"] for name in ("sent_at", "finished_at", "took", "cost"))


def test_wrong_input_shows_the_cell_alone(run_cells: RunCells) -> None:
    """The traceback of a wrong input has the line of the cell, and no line of the package; in DEBUG it has them."""
    wrong = 'await client.generate(ImageInput("x", n=99))'
    cell, debugged = run_cells(wrong, f"import logging; logging.getLogger('kling_async').setLevel(10)\n{wrong}")
    assert "n=99: must be a whole number from 1 to 9" in cell.traceback
    assert 1 == cell.traceback.count("---->")
    assert "kling_async" not in cell.traceback
    assert "dispatcher.py" in debugged.traceback


def test_a_batch_that_is_left_ends_its_bar(run_cells: RunCells) -> None:
    """After an exception, a `break` or an interrupt the bar says how far it came, and no task goes on drawing."""
    body = (
        "async with client.batch(jobs) as batch, show_progress(batch):\n"
        "    async for _ in batch:\n        print(drawing())\n        "
    )
    endings = ("1 / 0", "break", INTERRUPT)
    _, *shown = run_cells(TASKS, *(cell for ending in endings for cell in (body + ending, "print(drawing())")))
    for left, after in zip(shown[::2], shown[1::2], strict=True):
        assert ", ended after" in left.displays[0]["text/html"]
        assert "True\n" == left.streams["stdout"]
        assert "False\n" == after.streams["stdout"]
    raised = [one.traceback.rpartition("\n")[2].partition(":")[0] for one in shown[::2]]
    assert ["ZeroDivisionError", ""] == raised[:2]
    assert raised[2] in (
        "CancelledError",
        "KeyboardInterrupt",
    )  # the kernel cancels the cell, and says one or the other
