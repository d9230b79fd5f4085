"""Give other words to what the content policy refuses: python refused.py "a duel"."""

import asyncio
import sys

from attrs import evolve

from kling_async import Client, ContentRejected, ImageInput, Input, Job

PROMPTS = sys.argv[1:] or ["a duel at dawn [[refused]]", "a cat reading"]
MILDER = {" [[refused]]": "", "duel": "fencing lesson"}


async def reword(given: Input, error: ContentRejected) -> Input | None:
    """Return the input with milder words: this is where to ask a language model."""
    if error.part not in (None, "prompt"):
        return None  # an image was refused, and other words do not change it
    prompt = given.prompt
    for word, other in MILDER.items():
        prompt = prompt.replace(word, other)
    return evolve(given, prompt=prompt)


async def main() -> None:
    """Make an image of each prompt, or of the milder one."""
    jobs = [Job(ImageInput(prompt), key=f"row-{n}") for n, prompt in enumerate(PROMPTS)]
    async with (
        Client() as client,
        client.batch(jobs, journal="images.db", on_refused=reword) as batch,
    ):
        async for outcome in batch:
            result = "done" if outcome.ok else str(outcome.error)
            if outcome.refused is not None:
                result += f", in place of {outcome.refused.prompt!r}"
            print(f"{outcome.job.key}: {outcome.job.input.prompt!r} {result}")


asyncio.run(main())
