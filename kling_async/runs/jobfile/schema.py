"""JSON Schemas of inputs and of the lines of job files, for editors and for programs that write them."""

from __future__ import annotations

import csv
import inspect
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Final, TypeAlias

from attrs import NOTHING, fields

from ...providers import PROVIDERS
from ...types.inputs import ImageInput, Input, VideoInput
from ...types.prediction import Json

__all__ = ["csv_template", "input_schema", "line_schema"]

_Schema: TypeAlias = dict[str, Json]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SHOT: Final[_Schema] = {
    "type": "object",
    "properties": {"prompt": {"type": "string"}, "duration": {"type": "integer", "minimum": 1}},
    "required": ["prompt", "duration"],
    "additionalProperties": False,
}
_TYPES: Final[Mapping[str, _Schema]] = {
    "str": {"type": "string"},
    "str | None": {"type": ["string", "null"]},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "bool | None": {"type": ["boolean", "null"]},
    "Media | None": {"type": ["string", "object", "null"]},
    "tuple[Media, ...]": {"type": "array", "items": {"type": ["string", "object"]}},
    "tuple[Shot, ...]": {"type": "array", "items": _SHOT},
    "Mapping[str, Json]": {"type": "object"},
}
"""The schema of a field by its annotation."""
_TEXTS: Final[_Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_OF_LINES: Final[Mapping[str, _Schema]] = {
    "key": {"type": ["string", "integer"], "description": "names the job, and its files; unique in the file"},
    "kind": {"enum": ["image", "video"], "description": "what to make; it follows from the model, if that is given"},
    "provider": {"enum": list(PROVIDERS), "description": "the provider; by default that of the run"},
    "labels": {**_TEXTS, "description": "texts by name that the journal, the results and the report keep"},
    "vars": {
        "type": "object",
        "description": "lists of values by name: the line becomes a job for each combination; "
        "those named provider and model set that field",
    },
    "zip": {"type": "boolean", "description": "pair the values of vars, in place of combining them"},
}
"""What a line has beside the fields of an input."""


def input_schema(kind: type[Input]) -> _Schema:
    """Return the JSON Schema of an input. Limits of a model are not in it: `kling-async models NAME` shows them."""
    properties = _properties(kind)
    required = [field.name for field in fields(kind) if field.default is NOTHING]
    return {
        "$schema": _DIALECT,
        "title": kind.__name__,
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def line_schema() -> _Schema:
    """Return the JSON Schema of a line of a JSONL job file. A null is the default of its field."""
    inputs = _properties(ImageInput) | _properties(VideoInput)
    described = {name: _or_null(schema) for name, schema in {**_OF_LINES, **inputs}.items()}
    return {
        "$schema": _DIALECT,
        "title": "Line of a job file",
        "type": "object",
        "properties": dict(described),
        "patternProperties": {r"^extra\..+": {"description": "one field of extra"}},
        "anyOf": [{"required": ["prompt"]}, {"required": ["shots"]}],
        "additionalProperties": False,
    }


def csv_template(kinds: Sequence[type[Input]]) -> str:
    """Return a CSV job file with the columns of some kinds of inputs, and a row as an example of each."""
    names = ["key", "provider", "kind", *dict.fromkeys(field.name for kind in kinds for field in fields(kind))]
    written = StringIO()
    writer = csv.DictWriter(written, [name for name in names if name != "extra"] + ["label.scene"], lineterminator="\n")
    writer.writeheader()
    for kind in kinds:
        writer.writerow(_EXAMPLES[kind])
    return written.getvalue()


_EXAMPLES: Final[Mapping[type[Input], Mapping[str, str]]] = {
    ImageInput: {"key": "fox", "kind": "image", "prompt": "a fox, in the snow", "n": "1", "label.scene": "1"},
    VideoInput: {"key": "river", "kind": "video", "prompt": "a river", "duration": "5", "label.scene": "2"},
}


def _properties(kind: type[Input]) -> dict[str, _Schema]:
    texts = _descriptions(kind)
    return {field.name: {**_TYPES[str(field.type)], "description": texts[field.name]} for field in fields(kind)}


def _or_null(schema: _Schema) -> _Schema:
    kinds = schema.get("type")
    if kinds is None:
        return {"anyOf": [dict(schema), {"type": "null"}]}
    listed: list[Json] = list(kinds) if isinstance(kinds, list) else [kinds]
    return schema if "null" in listed else {**schema, "type": [*listed, "null"]}


def _descriptions(kind: type[Input]) -> dict[str, str]:
    """Return the descriptions of the fields by name: those of the docstring."""
    _, _, listed = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    listed, _, _ = listed.partition("\n\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", listed, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
