"""Names of attributes. Those of generative AI are from OpenTelemetry's semantic conventions 1.37.0, gen-ai-spans.md.

That page has the status Development, as has the repository semantic-conventions-genai, to which the names have moved
since. No video is among its output types: "video" is ours, as it allows.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from ...types.inputs import ImageInput, Input, VideoInput
from ...types.prediction import Prediction

__all__ = [
    "ERROR_TYPE",
    "JOB_KEY",
    "MODEL",
    "OPERATION",
    "PROVIDER",
    "STATUS",
    "Attributes",
    "error_type",
    "facts_of",
    "of_prediction",
]

Attributes: TypeAlias = dict[str, str | int | float | bool]

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
MODEL: Final = "gen_ai.request.model"
ERROR_TYPE: Final = "error.type"
STATUS: Final = "kling_async.status"
JOB_KEY: Final = "kling_async.job.key"


def facts_of(subject: object) -> Attributes:
    """Return the attributes of an input or a prediction, without texts, media and URLs; none of anything else."""
    if isinstance(subject, Prediction):
        return of_prediction(subject)
    return _of_input(subject) if isinstance(subject, (ImageInput, VideoInput)) else {}


def _of_input(input: Input) -> Attributes:
    attributes: Attributes = {"gen_ai.output.type": input.kind}
    if input.model is not None:
        attributes[MODEL] = input.model
    if not isinstance(input, VideoInput) and input.n != 1:
        attributes["gen_ai.request.choice.count"] = input.n
    return attributes


def of_prediction(prediction: Prediction) -> Attributes:
    """Return the attributes of a provider's record."""
    attributes: Attributes = {
        PROVIDER: prediction.provider,
        MODEL: prediction.model,
        "gen_ai.response.id": prediction.id,
        "gen_ai.response.model": prediction.model,
        STATUS: prediction.status.value,
    }
    if prediction.cost is not None:
        attributes["kling_async.cost.usd"] = float(prediction.cost)
    return attributes


def error_type(error: BaseException) -> str:
    """Return the name of an error's class."""
    return type(error).__name__
