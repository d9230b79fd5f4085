"""Read a submission to fal by the fields of its endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ...types.prediction import Json
from .fal_catalog import ENDPOINTS, Endpoint
from .media import size_of
from .parameters import ParameterReader, text_of
from .tasks import TaskSpec

__all__ = ["Submission"]

_EDITED_SECONDS = 5
"""The length of a video that is edited, or whose motion is taken over: the sandbox never fetches it."""


class Submission:
    """The body of one submission, read by the fields of its endpoint."""

    def __init__(self, id: str, body: Mapping[str, Json]) -> None:
        self.id = id
        self.endpoint: Endpoint = ENDPOINTS[id]
        self.reader = ParameterReader(body)
        self.choices: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.booleans: dict[str, bool] = {}

    def read(self, *, strict: bool) -> TaskSpec:
        """Return the task. Raises Invalid with all errors."""
        for name, values in self.endpoint.fields.items():
            self._read(name, values, required=name in self.endpoint.required)
        shots = self._shots()
        prompt = text_of(self.reader.body.get("prompt")) or " / ".join(shots)
        self.reader.raise_errors(strict=strict)
        is_image = self.endpoint.kind == "image"
        width, height = size_of(self.choices.get("aspect_ratio", "1:1"), self.choices.get("resolution", "1K"))
        return TaskSpec(
            provider="fal",
            model=self.id,
            scene=self.id.rpartition("/")[2],
            kind=self.endpoint.kind,
            prompt=prompt,
            count=self.numbers.get("num_images", 1),
            width=width if is_image else 320,
            height=height if is_image else 180,
            price=self._price(),
            base64=self.booleans.get("sync_mode", False),
        )

    def _read(self, name: str, values: str, *, required: bool) -> None:
        reader, mark, rest = self.reader, values[:1], values[1:]
        if mark == "=":
            words = tuple(rest.split(","))
            if required and name not in reader.body:
                reader.add_error(f"{name} is required")
            self.choices[name] = reader.choice(name, words, words[0])
        elif mark == "*":
            if not reader.urls(name, max_items=int(rest)) and required:
                reader.add_error(f"{name} is required")
        elif mark == "#":
            default, _, span = rest.partition(",")
            low, _, high = span.partition("..")
            allowed = range(int(low), int(high) + 1)
            self.numbers[name] = reader.integer(
                name, allowed, int(default), expected=f"a whole number from {low} to {high}"
            )
        elif mark == "?":
            self.booleans[name] = reader.boolean(name, default=rest == "true")
        elif mark == "~":
            # Its values are not checked here, but the name is known.
            reader.known(name)
        elif name.endswith("_url"):
            reader.url(name, required=required)
        else:
            reader.string(name, required=required, max_length=None if self.id.startswith("kling/") else 2500)

    def _shots(self) -> list[str]:
        shots = self.reader.array("multi_prompt") if self.endpoint.shots != "no" else []
        prompts: list[str] = []
        total = 0
        for position, shot in enumerate(shots):
            prompt = shot.get("prompt") if isinstance(shot, Mapping) else None
            seconds = shot.get("duration") if isinstance(shot, Mapping) else None
            if not isinstance(prompt, str) or not prompt.strip():
                self.reader.add_error(f"multi_prompt.{position}.prompt is required")
            else:
                prompts.append(prompt)
            as_text = self.endpoint.shots == "instead"
            if isinstance(seconds, bool) or not isinstance(seconds, str if as_text else int) or not _whole(seconds):
                self.reader.add_error(f"multi_prompt.{position}.duration must be {'text' if as_text else 'a number'}")
            else:
                total += int(seconds)
        if self.endpoint.shots != "no":
            self._check_prompt(has_shots=bool(shots))
        if shots and total != self._seconds():
            self.reader.add_error(f"the durations in multi_prompt must sum to {self._seconds()}")
        return prompts

    def _check_prompt(self, *, has_shots: bool) -> None:
        has_prompt = bool(text_of(self.reader.body.get("prompt")).strip())
        if not has_prompt and not has_shots:
            self.reader.add_error("prompt or multi_prompt is required")
        if has_prompt and has_shots and self.endpoint.shots == "instead":
            self.reader.add_error("prompt and multi_prompt exclude each other")

    def _seconds(self) -> int:
        text = self.choices.get("duration")
        return int(text) if text is not None else self.numbers.get("duration", _EDITED_SECONDS)

    def _price(self) -> Decimal:
        rate = self.endpoint.with_sound if self.booleans.get("generate_audio") else self.endpoint.price
        if self.endpoint.kind == "image":
            return rate * self.numbers.get("num_images", 1) * (2 if self.choices.get("resolution") == "4K" else 1)
        if self.choices.get("resolution") == "1080p":
            rate = rate * 3 / 2 if self.id.endswith("/edit") else Decimal("0.235")
        if self.reader.body.get("video_urls"):
            rate = Decimal("0.094") if self.choices["resolution"] == "720p" else Decimal("0.141")
        # With a video, Kling 4.0 counts the seconds of input and output.
        is_double = self.id.startswith("kling/") and (
            "video_url" in self.endpoint.fields or "video_urls" in self.reader.body
        )
        return rate * self._seconds() * (2 if is_double else 1)


def _whole(value: str | int) -> bool:
    return str(value).isascii() and str(value).isdigit() and int(value) >= 1
