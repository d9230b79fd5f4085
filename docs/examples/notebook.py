"""Cells of a notebook. It runs an event loop, so `await` works at the top level."""

# %% one image
from kling_async import Client, ImageInput, Job, gallery, rows, show_progress

client = await Client().open()
prediction = await client.generate(ImageInput("a fox in the snow"), key="fox")
files = await client.download(prediction, "out", overwrite=True)

# %% several, shown as a gallery
animals = ("hare", "owl", "stoat")
jobs = [Job(ImageInput(f"a {animal} in the snow"), key=animal) for animal in animals]
async with client.batch(jobs, save_to="out") as batch, show_progress(batch):
    outcomes = [outcome async for outcome in batch]
table = rows(outcomes)  # a list of dicts, for pandas.DataFrame(table)
gallery(outcomes)  # the last line of a cell is displayed

# %% close the client in the last cell
await client.aclose()

print(gallery(outcomes).html[:40])
