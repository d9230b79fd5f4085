"""Cells of a notebook, which has an event loop already: `await` stands by itself."""
# ruff: noqa: F704, PLE1142

# %% one image
from kling_async import Client, ImageInput, Job

async with Client() as client:
    prediction = await client.generate(ImageInput("a fox in the snow"), key="fox")
    files = await client.download(prediction, "out", overwrite=True)

# %% several, shown as a gallery
from kling_async.report import ReportRow, gallery

animals = ("hare", "owl", "stoat")
jobs = [Job(ImageInput(f"a {animal} in the snow"), key=animal) for animal in animals]
rows = []
async with Client() as client, client.batch(jobs, save_to="out") as batch:
    async for outcome in batch:
        rows.append(
            ReportRow(
                key=outcome.job.key,
                position=len(rows),
                provider="gptproto",
                model=outcome.job.input.model,
                kind="image",
                prompt=outcome.job.input.prompt,
                status="succeeded" if outcome.ok else "failed",
                cause=outcome.error.message if outcome.error else None,
                files=tuple(path.as_posix() for path in outcome.files),
            )
        )

shown = gallery(rows)  # HTML; IPython.display.HTML(shown) shows it
print(shown[:40])
