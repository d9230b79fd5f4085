"""Media types by content, and file names by key."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from unicodedata import category

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import kling_async
from kling_async.types.media import SNIFF_LENGTH, file_stem, is_complete, sniff
from kling_async.types.prediction import OutputKind

HEADS = {
    "PNG": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png", ".png", OutputKind.IMAGE),
    "JPEG": (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg", ".jpg", OutputKind.IMAGE),
    "JPEG of a camera": (b"\xff\xd8\xff\xe1", "image/jpeg", ".jpg", OutputKind.IMAGE),
    "GIF": (b"GIF89a", "image/gif", ".gif", OutputKind.IMAGE),
    "older GIF": (b"GIF87a", "image/gif", ".gif", OutputKind.IMAGE),
    "WebP": (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp", ".webp", OutputKind.IMAGE),
    "AVIF": (b"\0\0\0\x20ftypavif\0\0\0\0", "image/avif", ".avif", OutputKind.IMAGE),
    "moving AVIF": (b"\0\0\0\x20ftypavis", "image/avif", ".avif", OutputKind.IMAGE),
    "MP4": (b"\0\0\0\x18ftypmp42", "video/mp4", ".mp4", OutputKind.VIDEO),
    "MP4 of another brand": (b"\0\0\0\x20ftypisom", "video/mp4", ".mp4", OutputKind.VIDEO),
    "QuickTime": (b"\0\0\0\x14ftypqt  ", "video/quicktime", ".mov", OutputKind.VIDEO),
    "WebM": (b"\x1a\x45\xdf\xa3\x01\0\0\0", "video/webm", ".webm", OutputKind.VIDEO),
}


@pytest.mark.parametrize(("head", "mime", "suffix", "kind"), HEADS.values(), ids=list(HEADS))
def test_files_are_told_by_their_first_bytes(head: bytes, mime: str, suffix: str, kind: OutputKind) -> None:
    """A file's type follows from its first bytes."""
    media = sniff(head[:SNIFF_LENGTH])
    assert media is not None
    assert (mime, suffix, kind) == (media.mime, media.suffix, media.kind)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!DOCTYPE html>",
        b"<?xml version='1.0'?><Error>",
        b'{"error": "expired"}',
        b"\x89PNG",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"%PDF-1.7",
        b"\0" * 16,
        b"MZ\x90\0",
    ],
)
def test_what_is_no_picture_is_nothing(head: bytes) -> None:
    """A page, an error or half a signature is no image and no video."""
    assert sniff(head) is None


@given(st.binary(max_size=32))
def test_sniffing_never_fails(head: bytes) -> None:
    """Any bytes are of a known type or none, and bytes beyond the sniffed ones change nothing."""
    media = sniff(head)
    assert media is None or re.fullmatch(r"\.[a-z0-9]+", media.suffix)
    assert media == sniff(head + bytes(100)) or len(head) < SNIFF_LENGTH


@pytest.mark.parametrize(
    "key",
    ["a", "image-b7907747-00ff00", "Cat_1", "a.b.c", "v1.0-rc", "7", "x" * 100, "_", "_-", "console", "com", "lpt10"],
)
def test_a_plain_key_names_its_file(key: str) -> None:
    """A key that is a safe file name on every system is the file's name."""
    assert key == file_stem(key)


STRANGE = {
    "../../etc/passwd": "etc_passwd_",
    "/etc/passwd": "etc_passwd_",
    "C:\\Windows\\a": "C_Windows_a_",
    "con": "con_",
    "NUL": "NUL_",
    "aux.txt": "aux_txt_",
    "com1": "com1_",
    "LPT9.a.b": "LPT9_a_b_",
    "a b": "a_b_",
    "a\0b": "a_b_",
    "trailing.": "trailing_",
    ".hidden": "hidden_",
    "..": "job_",
    ".": "job_",
    "": "job_",
    "猫": "猫_",
    "кот-72": "кот-72_",
    "картина: «зима»/лето": "картина_зима_лето_",
    "e\u0301te\u0301": "été_",
    "हिन्दी": "हिन्दी_",
    "🦊 fox": "fox_",
    "-": "job_",
    "-rf": "rf_",
    "-a b-": "a_b-_",
    "猫" * 100: "猫" * 40 + "_",
    "a\u202eb": "a_b_",
    "a:b|c?d*e": "a_b_c_d_e_",
    "x" * 101: "x" * 60 + "_",
    "\ud800": "job_",
}


@pytest.mark.parametrize(("key", "begins"), STRANGE.items(), ids=[repr(key)[:30] for key in STRANGE])
def test_a_strange_key_is_cleaned(key: str, begins: str) -> None:
    """What is unsafe in a key is replaced, and a hash of the whole key keeps it apart from others."""
    assert re.fullmatch(re.escape(begins) + "[0-9a-f]{12}", file_stem(key))


DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}


@given(st.text(max_size=250) | st.text("aA.-_ /\\:01con", max_size=12))
@example("CON.tar.gz")
@example("a" * 99 + ".")
def test_no_key_leaves_the_directory(key: str) -> None:
    """Whatever the key, its file lies in the directory, under one plain name that any file system takes."""
    stem = file_stem(key)
    assert all(one.isalnum() or one in "._-" or category(one).startswith("M") for one in stem)
    assert 0 < len(stem.encode()) <= 140
    assert stem[0] not in "-."
    assert stem[-1] != "."
    assert stem.split(".")[0].upper() not in DEVICES
    for path in (PurePosixPath, PureWindowsPath):
        assert stem == path(stem).name == path("out", f"{stem}-0.png").name.removesuffix("-0.png")


@given(st.lists(st.text(max_size=8) | st.text("a. /_", max_size=4), unique=True, max_size=8))
def test_two_keys_never_share_a_file(keys: list[str]) -> None:
    """Different keys have different names."""
    assert len(keys) == len({file_stem(key) for key in keys})


def box(kind: bytes, inside: bytes = b"", *, long: bool = False) -> bytes:
    """Write one box of an MP4 file; a long one has its length behind its name."""
    if long:
        return b"\0\0\0\1" + kind + (16 + len(inside)).to_bytes(8, "big") + inside
    return (8 + len(inside)).to_bytes(4, "big") + kind + inside


def webp(size: int) -> bytes:
    return b"RIFF" + size.to_bytes(4, "little") + b"WEBPVP8 "


FTYP, MOOV, MDAT = box(b"ftyp", b"isom\0\0\0\0"), box(b"moov", bytes(60)), box(b"mdat", bytes(90))
PNG_HEAD, JPEG_HEAD, GIF_HEAD = HEADS["PNG"][0], HEADS["JPEG"][0], HEADS["GIF"][0]


def element(id: int, body: bytes, *, open_size: bool = False) -> bytes:
    """Write one element of a WebM file, with a size of eight bytes (RFC 8794, 6)."""
    size = (1 << 56) - 1 if open_size else len(body)
    return id.to_bytes((id.bit_length() + 7) // 8, "big") + (1 << 56 | size).to_bytes(8, "big") + body


EBML = element(0x1A45DFA3, element(0x4282, b"webm"))


def webm(*, open_size: bool = False) -> bytes:
    """Write a WebM file: what it is, its length and tracks, and two clusters of one block each."""
    cluster = element(0x1F43B675, element(0xE7, b"\0") + element(0xA3, b"\x81\0\0\x80" + bytes(40)))
    about = element(0x1549A966, element(0x2AD7B1, b"\x0f\x42\x40")) + element(0x1654AE6B, element(0xAE, bytes(9)))
    return EBML + element(0x18538067, about + cluster * 2, open_size=open_size)


ENDS = {
    "PNG": (PNG_HEAD + b"\0\0\0\0IEND\xaeB`\x82", True),
    "PNG without its checksum": (PNG_HEAD + b"\0\0\0\0IEND", True),
    "PNG with bytes after its end": (PNG_HEAD + b"IEND" + b"\0" * 12, False),
    "PNG cut": (PNG_HEAD, False),
    "JPEG": (JPEG_HEAD + b"\x11\xff\xd9", True),
    "JPEG with padding": (JPEG_HEAD + b"\xff\xd9\0\0", True),
    "JPEG cut": (JPEG_HEAD + b"\xff", False),
    "GIF": (GIF_HEAD + bytes(9) + b";", True),
    "GIF cut": (GIF_HEAD + b"\x21\xff", False),
    "WebP": (webp(8), True),
    "WebP cut": (webp(9), False),
    "MP4": (FTYP + MOOV + MDAT, True),
    "MP4 with its index last": (FTYP + MDAT + MOOV, True),
    "MP4 with a long box": (FTYP + MOOV + box(b"mdat", bytes(90), long=True), True),
    "MP4 whose last box goes to the end": (FTYP + MOOV + b"\0\0\0\0mdat" + bytes(9), True),
    "MP4 cut in a box": (FTYP + MDAT + MOOV[:-1], False),
    "MP4 cut between boxes, before its index": (FTYP + MDAT, False),
    "MP4 cut between boxes, before its pictures": (FTYP + MOOV, False),
    "MP4 cut in a box that goes to the end": (FTYP + b"\0\0\0\0mdat" + bytes(9), False),
    "MP4 with a box shorter than its head": (FTYP + MOOV + b"\0\0\0\7mdat", False),
    "MP4 of ever so many boxes": (FTYP + MOOV + box(b"free") * 10_000, False),
    "AVIF": (box(b"ftyp", b"avif") + box(b"meta") + MDAT, True),
    "WebM": (webm(), True),
    "WebM with more behind it": (webm() + element(0xEC, bytes(9)), True),
    "WebM with bytes behind it that are no element": (webm() + b"\0", False),
    "WebM of open size": (webm(open_size=True), False),
    "WebM without a segment": (EBML, False),
    "WebM of ever so many elements": (webm() + element(0xEC, b"") * 10_000, False),
}


@pytest.mark.parametrize(("data", "whole"), ENDS.values(), ids=list(ENDS))
def test_the_end_of_a_file(data: bytes, *, whole: bool) -> None:
    """A file of unknown length is whole when it ends where its own structure says."""
    media = sniff(data[:SNIFF_LENGTH])
    assert media is not None
    assert whole is is_complete(media, lambda at, most: data[max(0, at) : max(0, at) + most], len(data))


def test_the_clip_of_the_sandbox_is_whole() -> None:
    """A real film is whole, and is not when it is cut anywhere but at its very start."""
    clip = (Path(kling_async.__file__).parent / "testing/sandbox/clip.mp4").read_bytes()
    media = sniff(clip[:SNIFF_LENGTH])
    assert media is not None

    def whole(data: bytes) -> bool:
        return is_complete(media, lambda at, most: data[at : at + most], len(data))

    assert whole(clip)
    assert not any(whole(clip[:size]) for size in range(SNIFF_LENGTH, len(clip)))


@pytest.mark.parametrize("open_size", [False, True])
def test_a_cut_webm_is_never_whole(*, open_size: bool) -> None:
    """A WebM that is cut anywhere, also between two of its elements, is not taken for whole."""
    film = webm(open_size=open_size)
    media = sniff(film[:SNIFF_LENGTH])
    assert media is not None

    def whole(data: bytes) -> bool:
        return is_complete(media, lambda at, most: data[at : at + most], len(data))

    assert not any(whole(film[:size]) for size in range(SNIFF_LENGTH, len(film)))
