"""Real images and videos, different for every prompt, made without a drawing library.

An image is a diagonal gradient of two colours with discs on it. Every row is one slice of a longer gradient, and a disc
is one slice assignment per row, so that no work is done per pixel.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from math import sqrt

from attrs import frozen

from .randomness import digest_of
from .tasks import Task

__all__ = ["Assets", "draw_png", "mark_jpeg", "mark_mp4", "size_of"]

_LONG_SIDE = {"1k": 320, "2k": 640}
"""Small on purpose: a test that downloads a thousand of them should take seconds."""


def size_of(aspect_ratio: str, resolution: str) -> tuple[int, int]:
    """Return width and height in pixels; ``auto`` is square."""
    across, _, down = aspect_ratio.partition(":")
    wide, high = (int(across), int(down)) if across.isdigit() and down.isdigit() else (1, 1)
    long = _LONG_SIDE.get(resolution.lower(), 320)
    if wide >= high:
        return long, max(2, round(long * high / wide))
    return max(2, round(long * wide / high)), long


@lru_cache(maxsize=64)
def draw_png(name: str, *, width: int, height: int) -> bytes:
    """Draw an image that depends on the name alone."""
    seed = digest_of("picture", name)
    slope = 1 + seed[6] % 2
    ramp = _ramp(tuple(seed[0:3]), tuple(seed[3:6]), width + slope * height)
    discs = [_Disc(seed[7 + 5 * i : 12 + 5 * i], width, height) for i in range(5)]
    rows: list[bytes] = []
    for y in range(height):
        row = bytearray(ramp[3 * slope * y : 3 * (slope * y + width)])
        for disc in discs:
            disc.paint(row, y)
        rows.append(b"\0" + row)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"tEXt", b"Software\0kling_async sandbox"),
            _chunk(b"IDAT", zlib.compress(b"".join(rows), 1)),
            _chunk(b"IEND", b""),
        )
    )


class _Disc:
    def __init__(self, seed: bytes, width: int, height: int) -> None:
        self.x = seed[0] * width // 256
        self.y = seed[1] * height // 256
        self.radius = max(2, (24 + seed[2] % 96) * min(width, height) // 400)
        self.colour = bytes((seed[3], seed[4], 255 - seed[3]))
        self.core = bytes(128 + value // 2 for value in self.colour)
        self.width = width

    def paint(self, row: bytearray, y: int) -> None:
        for radius, colour in ((self.radius, self.colour), (self.radius * 2 // 3, self.core)):
            distance = abs(y - self.y)
            if distance < radius:
                half = int(sqrt(radius * radius - distance * distance))
                left, right = max(0, self.x - half), min(self.width, self.x + half)
                if left < right:
                    row[3 * left : 3 * right] = colour * (right - left)


def _ramp(first: tuple[int, ...], last: tuple[int, ...], length: int) -> bytes:
    steps = max(1, length - 1)
    channels = [
        bytes((a * (steps - i) + b * i) // steps for i in range(length)) for a, b in zip(first, last, strict=True)
    ]
    ramp = bytearray(3 * length)
    for offset, channel in enumerate(channels):
        ramp[offset::3] = channel
    return bytes(ramp)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def mark_mp4(clip: bytes, name: str) -> bytes:
    """Return the video with the name's hash in a box of its own, which players skip (ISO 14496-12, `free`)."""
    payload = digest_of("film", name)
    return clip + struct.pack(">I4s", 8 + len(payload), b"free") + payload


def mark_jpeg(still: bytes, name: str) -> bytes:
    """Return the image with the name's hash as its comment segment, which viewers skip."""
    payload = digest_of("still", name)
    return still[:2] + b"\xff\xfe" + struct.pack(">H", 2 + len(payload)) + payload + still[2:]


@frozen(kw_only=True)
class Assets:
    """The files that cannot be drawn here: a short video (MP4) and a small image (JPEG), in bytes."""

    clip: bytes
    still: bytes

    def render(self, task: Task, name: str) -> tuple[str, bytes]:
        """Return the media type and the bytes of one of a task's files."""
        spec = task.spec
        # It depends on the position in the task, not on the id: the same prompt gives the same image in every run.
        subject = f"{spec.prompt}\0{name.rpartition('-')[2]}"
        if spec.kind == "video":
            return "video/mp4", mark_mp4(self.clip, subject)
        if "jpeg" in task.faults:
            return "image/jpeg", mark_jpeg(self.still, subject)
        return "image/png", draw_png(subject, width=spec.width, height=spec.height)
