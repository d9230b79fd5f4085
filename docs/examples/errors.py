"""Report what went wrong. Prompts are arguments: python errors.py "a cat" "a dog"."""

import asyncio
import sys

from kling_async import (
    AnswerLost,
    Client,
    ContentRejected,
    ImageInput,
    InputError,
    KlingError,
    PredictionFailed,
    WaitTimeout,
)


async def attempt(client: Client, prompt: str) -> str:
    """Generate one image, and return the result in one line."""
    try:
        prediction = await client.generate(ImageInput(prompt), wait_timeout=300)
    except InputError as error:
        return f"not sent: {error.faults[0]}"
    except ContentRejected:
        return "refused: change the prompt"
    except AnswerLost as error:
        return f"unconfirmed: check the provider's history ({error.key})"
    except WaitTimeout as error:
        return f"still running: call client.wait(error.prediction) ({error.id})"
    except PredictionFailed as error:
        failure = error.prediction.failure
        return f"failed: {failure.message if failure else error}"
    except KlingError as error:  # any other error of this package
        return f"{type(error).__name__}: {error}"
    return f"succeeded: {prediction.outputs[0].kind}"


async def main() -> None:
    """Try one prompt after the other."""
    async with Client() as client:
        for prompt in sys.argv[1:] or ["a cat reading by candlelight"]:
            print(await attempt(client, prompt))


asyncio.run(main())
