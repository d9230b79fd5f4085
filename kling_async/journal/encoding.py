"""Encoding of submissions as lines of JSON: field by field, since each job is written several times.

Fields at their default are left out. Names and order are those of `serialization`, which reads the lines.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as _quoted  # ASCII only: a lone surrogate must not keep an id out
from typing import Final

from ..types.client_id import ClientId
from ..types.prediction import Failure, Json, Output, Prediction, Status, Timings
from .stored_error import StoredError
from .submission import Submission

__all__ = ["encode_submission"]

_encode: Final = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def encode_submission(one: Submission, state: str) -> str:
    """Return a submission as one line of JSON; `state` is the word for its status on disk."""
    text = (
        f'{{"key":{_quoted(one.key)},"provider":{_quoted(one.provider)},"model":{_quoted(one.model)},'
        f'"fingerprint":{_quoted(one.fingerprint)},"input":{_fields(one.input)}'
    )
    if one.attempt != 1:
        text += f',"attempt":{one.attempt}'
    if one.labels:
        text += f',"labels":{_fields(one.labels)}'
    if not one.input_complete:
        text += ',"whole":false'
    if one.price is not None:
        text += f',"price":"{one.price}"'
    if state != "planned":
        text += f',"state":"{state}"'
    if one.prediction is not None:
        text += f',"prediction":{_prediction(one.prediction)}'
    if not one.urls_complete:
        text += ',"fetchable":false'
    return f"{text}{_facts(one)}{_times(one)}}}"


def _facts(one: Submission) -> str:
    text = ""
    if one.stored_error is not None:
        text += f',"trouble":{_stored_error(one.stored_error)}'
    if one.client_id is not None:
        text += f',"client_id":{_client_id(one.client_id)}'
    if one.files is not None:
        text += f',"files":{_encode(one.files)}'
    if one.checksums is not None:
        text += f',"checksums":{_encode(one.checksums)}'
    if one.decision is not None:
        text += f',"decision":"{one.decision.value}"'
    if one.replaces is not None:
        text += f',"replaces":{_quoted(one.replaces)}'
    if one.declined:
        text += ',"declined":true'
    return text


def _times(one: Submission) -> str:
    text = f',"planned_at":{one.planned_at!r}' if one.planned_at else ""
    if one.sent_at is not None:
        text += f',"sent_at":{one.sent_at!r}'
    if one.accepted_at is not None:
        text += f',"accepted_at":{one.accepted_at!r}'
    if one.finished_at is not None:
        text += f',"finished_at":{one.finished_at!r}'
    if one.saved_at is not None:
        text += f',"saved_at":{one.saved_at!r}'
    # JSON in Python has other words than repr for what is no number; the names above hold neither of these.
    return text.replace("inf", "Infinity").replace("nan", "NaN")


def _fields(fields: Mapping[str, Json]) -> str:
    # Its own loop, since an encoder costs more to start than such a mapping takes.
    parts: list[str] = []
    for name, value in fields.items():
        if isinstance(value, str):
            parts.append(f"{_quoted(name)}:{_quoted(value)}")
        elif value is True or value is False:
            parts.append(f"{_quoted(name)}:true" if value else f"{_quoted(name)}:false")
        elif type(value) is int:
            parts.append(f"{_quoted(name)}:{value}")
        else:
            parts.append(f"{_quoted(name)}:{_encode(value)}")
    return f"{{{','.join(parts)}}}"


def _prediction(one: Prediction) -> str:
    text = f'{{"provider":{_quoted(one.provider)},"model":{_quoted(one.model)},"id":{_quoted(one.id)}'
    if one.key is not None:
        text += f',"key":{_quoted(one.key)}'
    if one.status is not Status.QUEUED:
        text += f',"status":"{one.status.value}"'
    if one.native_status:
        text += f',"native_status":{_quoted(one.native_status)}'
    if one.outputs:
        text += f',"outputs":[{",".join(map(_output, one.outputs))}]'
    if one.failure is not None:
        text += f',"fault":{_failure(one.failure)}'
    if one.nsfw is not None:
        text += f',"flagged":{"true" if one.nsfw else "false"}'
    if one.created_at is not None:
        text += f',"created_at":"{one.created_at.isoformat()}"'
    if one.timings.inference_seconds is not None or one.timings.execution_seconds is not None:
        text += f',"timings":{_timings(one.timings)}'
    if one.cost is not None:
        text += f',"cost":"{one.cost}"'
    return f"{text}}}"


def _output(one: Output) -> str:
    return f'{{"url":{_quoted(one.url)},"kind":"{one.kind.value}"}}'


def _failure(one: Failure) -> str:
    text = f'{{"kind":"{one.kind.value}","message":{_quoted(one.message)}'
    if one.code is not None:
        text += f',"code":{_quoted(one.code)}'
    return f"{text}}}" if one.part is None else f'{text},"part":{_quoted(one.part)}}}'


def _timings(one: Timings) -> str:
    durations = {"inference_for": one.inference_seconds, "execution_for": one.execution_seconds}
    return _encode({name: seconds for name, seconds in durations.items() if seconds is not None})


def _stored_error(one: StoredError) -> str:
    text = f'{{"kind":{_quoted(one.kind)},"message":{_quoted(one.message)}'
    if one.http_status is not None:
        text += f',"http_status":{one.http_status}'
    if one.code is not None:
        text += f',"code":{_quoted(one.code)}'
    if one.may_be_billed:
        text += ',"may_be_billed":true'
    if one.part is not None:
        text += f',"part":{_quoted(one.part)}'
    return f"{text}}}"


def _client_id(one: ClientId) -> str:
    return f'{{"value":{_quoted(one.value)},"origin":{_quoted(one.origin)},"key_hash":{_quoted(one.key_hash)}}}'
