"""Provenance as JSON and as text in files: read back by other programs' rules."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from kling_async.testing.sandbox.media import draw_png
from kling_async.types.media import MediaType, sniff
from kling_async.types.media_scan import XMP_BOX
from kling_async.types.provenance import FileFacts, Provenance, embedding, sidecar, sidecar_name

RECORD = Provenance(
    prompt='a cat & a "fox" <in snow>\nकुत्ता 漢字 🦊',
    kind="image",
    model="kling-image-o1",
    provider="gptproto",
    id="p-1",
    key="fox",
    labels={"style": "ink"},
    accepted_at=1_700_000_000.5,
    software="kling_async 9.9",
)
FACTS = FileFacts(sha256="ab" * 32, size=12, c2pa=True, embedded=False)
PNG = draw_png("a cat", width=8, height=8)
NAMES = {
    "dc": "{http://purl.org/dc/elements/1.1/}",
    "iptc": "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}",
    "rdf": "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}",
    "xmp": "{http://ns.adobe.com/xap/1.0/}",
    "job": "{urn:kling-async:job:}",
}
HOSTILE = ("\ud800 half", "null \0 and \x1b[2J", "]]> <!-- & --> ]]>", "\r\n", "x" * 166_000, "{software}")


def media_of(content: bytes) -> MediaType:
    found = sniff(content)
    assert found is not None
    return found


MP4 = media_of(b"\0\0\0\x10ftypisom\0\0\0\0")


def texts_of(chunks: bytes) -> dict[str, str]:
    """Read `iTXt` chunks as the specification writes them, and check their sums."""
    found, at = dict[str, str](), 0
    while at < len(chunks):
        [size] = struct.unpack_from(">I", chunks, at)
        body = chunks[at + 4 : at + 8 + size]
        assert zlib.crc32(body) == struct.unpack_from(">I", chunks, at + 8 + size)[0]
        keyword, _, rest = body.removeprefix(b"iTXt").partition(b"\0")
        assert rest.startswith(b"\0\0\0\0"), "compressed, or in a language"
        found[keyword.decode("latin-1")] = rest[4:].decode()
        at += 12 + size
    return found


def properties_of(packet: str) -> dict[str, str]:
    """Read an XMP packet: the text of each property by its short name."""
    start, end = packet.index("<x:xmpmeta"), packet.index("<?xpacket end")
    [described] = ET.fromstring(packet[start:end]).iter(f"{NAMES['rdf']}Description")  # noqa: S314 - it is our own
    short = {full: name for name, full in NAMES.items()}
    return {
        f"{short[one.tag.partition('}')[0] + '}']}:{one.tag.partition('}')[2]}": "".join(one.itertext())
        for one in described
    }


def test_a_sidecar_says_all() -> None:
    """A sidecar has what the file was made from, when, and what the file is, in UTF-8."""
    content = sidecar(RECORD, "fox-0.png", FACTS, saved_at=1_700_000_009.0)
    assert {
        "file": "fox-0.png",
        "prompt": RECORD.prompt,
        "kind": "image",
        "model": "kling-image-o1",
        "provider": "gptproto",
        "id": "p-1",
        "key": "fox",
        "labels": {"style": "ink"},
        "accepted_at": "2023-11-14T22:13:20.500+00:00",
        "saved_at": "2023-11-14T22:13:29.000+00:00",
        "sha256": "ab" * 32,
        "size": 12,
        "c2pa": True,
        "embedded": False,
        "software": "kling_async 9.9",
    } == json.loads(content)
    assert "漢字".encode() in content


def test_no_output_has_the_name_of_a_sidecar() -> None:
    """The name of a sidecar ends otherwise than those of outputs and of the state of a download."""
    assert "cat-0.png.json" == sidecar_name("cat-0.png")
    assert not sidecar_name("cat-0.png").endswith((".png", ".part.json"))


def test_a_png_has_text_where_others_look() -> None:
    """A PNG names the prompt as its description, this package as its software, and has all of it as JSON and XMP."""
    texts = texts_of(embedding(RECORD, media_of(PNG)))
    assert ["kling_async", "Description", "Software", "XML:com.adobe.xmp"] == list(texts)
    assert RECORD.prompt == texts["Description"]
    assert RECORD.to_dict() == json.loads(texts["kling_async"])
    assert "kling_async 9.9" == texts["Software"]


@pytest.mark.parametrize("media", [media_of(PNG), MP4], ids=["png", "mp4"])
def test_xmp_says_that_a_model_has_made_it(media: MediaType) -> None:
    """The XMP of either is well-formed, has the prompt, and says that a trained model has made the file."""
    added = embedding(RECORD, media)
    if media is MP4:
        assert len(added) == struct.unpack_from(">I", added)[0]
        assert b"uuid" + XMP_BOX == added[4:24]
        packet = added[24:].decode()
    else:
        packet = texts_of(added)["XML:com.adobe.xmp"]
    found = properties_of(packet)
    assert "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia" == found["iptc:DigitalSourceType"]
    assert (RECORD.prompt, "kling_async 9.9") == (found["dc:description"], found["xmp:CreatorTool"])
    assert RECORD.to_dict() == json.loads(found["job:record"])


@pytest.mark.parametrize("prompt", HOSTILE, ids=lambda prompt: repr(prompt[:12]))
def test_any_prompt_can_be_written(prompt: str) -> None:
    """Whatever a prompt holds, JSON is read back as it was, and XMP stays well-formed with no more properties."""
    record = evolve(RECORD, prompt=prompt, key=prompt[:100], labels={prompt[:100]: prompt})
    fields: dict[str, Any] = json.loads(sidecar(record, "a-0.png", FACTS, saved_at=0.0))
    assert (prompt, {prompt[:100]: prompt}) == (fields["prompt"], fields["labels"])
    texts = texts_of(embedding(record, media_of(PNG)))
    assert prompt == json.loads(texts["kling_async"])["prompt"]
    assert 4 == len(properties_of(texts["XML:com.adobe.xmp"]))


@pytest.mark.parametrize("head", [b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\x1a\x45\xdf\xa3"])
def test_other_types_get_no_text(head: bytes) -> None:
    """What is neither a PNG nor an MP4 gets nothing inside."""
    assert b"" == embedding(RECORD, media_of(head))


def test_no_prompt_is_shown() -> None:
    """The text of a record, as a log would have it, holds neither the prompt nor the labels."""
    assert "snow" not in repr(RECORD)
    assert "ink" not in repr(RECORD)
