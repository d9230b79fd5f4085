"""Tell what went wrong. Prompts are arguments: python errors.py "a cat" "a dog"."""

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
    """Generate one image, and say in one line how it went."""
    try:
        prediction = await client.generate(ImageInput(prompt), wait_timeout=300)
    except InputError as error:
        return f"not sent: {error.faults[0]}"
    except ContentRejected:
        return "refused: change the prompt"
    except AnswerLost as error:
        return f"unconfirmed: look it up before you send it again ({error.key})"
    except WaitTimeout as error:
        return f"still running: go on with client.wait(error.prediction) ({error.id})"
    except PredictionFailed as error:
        fault = error.prediction.fault
        return f"failed: {fault.message if fault else error}"
    except KlingError as error:  # whatever else this package raises
        return f"{type(error).__name__}: {error}"
    return f"succeeded: {prediction.outputs[0].kind}"


async def main() -> None:
    """Try one prompt after the other."""
    async with Client() as client:
        for prompt in sys.argv[1:] or ["a cat reading by candlelight"]:
            print(await attempt(client, prompt))


asyncio.run(main())
