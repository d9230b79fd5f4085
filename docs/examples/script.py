"""Make images in a script without asyncio: one, and then many."""

from itertools import product

from kling_async import ImageInput, Job
from kling_async.blocking import Client

ANIMALS = ("fox", "owl", "whale", "heron")
STYLES = ("linocut", "watercolour")

with Client() as client:
    prediction = client.generate(ImageInput("a cat reading by candlelight"))
    for path in client.download(prediction, "out"):
        print(path)

    jobs = [
        Job(ImageInput(f"a {animal}, {style}"), key=f"{animal}-{style}")
        for animal, style in product(ANIMALS, STYLES)
    ]
    with client.batch(jobs, journal="jobs.db", save_to="out") as batch:
        for outcome in batch:
            print(f"{outcome.job.key}: {outcome.error or outcome.files[0]}")
