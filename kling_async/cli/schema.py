"""`kling-async schema`: JSON Schemas for editors, and for programs that write job files."""

from __future__ import annotations

import json
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from ..runs.jobfile.schema import csv_template, input_schema, line_schema
from ..types.inputs import ImageInput, VideoInput
from .console import ExitCode, run, write_result

__all__ = ["schema"]

_KINDS: Final = {"jobs": (ImageInput, VideoInput), "image": (ImageInput,), "video": (VideoInput,)}


def schema(
    of: Literal["jobs", "image", "video"] = "jobs",
    /,
    *,
    csv: Annotated[bool, Parameter(name="--csv", negative="", show_default=False)] = False,
) -> int:
    """Print the JSON Schema of a line of a JSONL job file, or of an input; or a CSV job file to begin with.

    Args:
        of: `jobs` is a line of a job file, `image` an ImageInput, `video` a VideoInput.
        csv: Print a CSV job file with the columns of images, videos or both, and a row as an example of each.
    """

    def command() -> ExitCode:
        if csv:
            write_result(csv_template(_KINDS[of]).rstrip("\n"))
            return ExitCode.DONE
        made = line_schema() if of == "jobs" else input_schema(ImageInput if of == "image" else VideoInput)
        write_result(json.dumps(made, indent=2))
        return ExitCode.DONE

    return run(command)
