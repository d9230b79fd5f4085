"""`kling-async schema`: JSON Schemas for editors, and for programs that write job files."""

from __future__ import annotations

import json
from typing import Literal

from ..runs.jobfile.schema import input_schema, line_schema
from ..types.inputs import ImageInput, VideoInput
from .console import ExitCode, run, write_result

__all__ = ["schema"]


def schema(of: Literal["jobs", "image", "video"] = "jobs", /) -> int:
    """Print the JSON Schema of a line of a JSONL job file, or of an input.

    Args:
        of: `jobs` is a line of a job file, `image` an ImageInput, `video` a VideoInput.
    """

    def command() -> ExitCode:
        made = line_schema() if of == "jobs" else input_schema(ImageInput if of == "image" else VideoInput)
        write_result(json.dumps(made, indent=2))
        return ExitCode.DONE

    return run(command)
