"""Provenance: what a file was made from, by which model, and when; as JSON beside it, or as text inside it.

Inside a PNG it is in `iTXt` chunks, inside an MP4 in the box that holds XMP. Both have the prompt where other programs
look for it, and say that a trained model has made the file, as IPTC names that.

Sources: the PNG specification on `iTXt` and its keywords, XMP parts 1 and 3, and IPTC NewsCodes on Digital Source Type.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Final, Literal, TypeAlias

from attrs import field, frozen

from .media import MediaType
from .media_scan import EMBEDDING_NAME, XMP_BOX

__all__ = ["FileFacts", "Provenance", "ProvenanceMode", "embedding", "sidecar", "sidecar_name"]

ProvenanceMode: TypeAlias = Literal["sidecar", "embed"]

_SUFFIX: Final = ".json"
_XML_UNFIT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML 1.0 cannot hold."""
_AI: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_PACKET: Final = """\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{software}">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:job="urn:kling-async:job:">
   <Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
   <xmp:CreatorTool>{software}</xmp:CreatorTool>
   <dc:description><rdf:Alt><rdf:li xml:lang="x-default">{prompt}</rdf:li></rdf:Alt></dc:description>
   <job:record>{record}</job:record>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


@frozen(kw_only=True)
class FileFacts:
    """The facts of a saved file.

    Attributes:
        sha256: the SHA-256 of its bytes, in hexadecimal digits.
        size: its length in bytes.
        c2pa: whether it has a C2PA credential; None where its type or structure is not understood.
        embedded: whether provenance is embedded in it.
    """

    sha256: str
    size: int
    c2pa: bool | None
    embedded: bool


@frozen(kw_only=True)
class Provenance:
    """What the files of one prediction were made from. Times are seconds since 1970.

    Attributes:
        prompt: the prompt; None where it is not known.
        kind: "image" or "video".
        model: the requested model.
        provider: the provider's name.
        id: the prediction's id at the provider.
        key: the job's key.
        labels: the job's labels.
        accepted_at: when the provider accepted it; None where it is not known.
        software: this package and its version.
    """

    prompt: str | None = field(repr=False)
    kind: str
    model: str
    provider: str
    id: str
    key: str | None
    labels: Mapping[str, str] = field(repr=False)
    accepted_at: float | None
    software: str

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON-serializable values."""
        return {
            "prompt": self.prompt,
            "kind": self.kind,
            "model": self.model,
            "provider": self.provider,
            "id": self.id,
            "key": self.key,
            "labels": dict(self.labels),
            "accepted_at": _moment(self.accepted_at),
            "software": self.software,
        }


def sidecar_name(name: str) -> str:
    """Return the name of a file's sidecar. No output has such a name: its suffix is that of an image or a video."""
    return f"{name}{_SUFFIX}"


def sidecar(record: Provenance, name: str, facts: FileFacts, *, saved_at: float) -> bytes:
    """Return the content of the sidecar of a file.

    Args:
        record: the provenance of the file.
        name: its name.
        facts: its facts.
        saved_at: seconds since 1970.
    """
    fields = {"file": name} | record.to_dict()
    software = fields.pop("software")
    fields |= {"saved_at": _moment(saved_at), "sha256": facts.sha256, "size": facts.size}
    fields |= {"c2pa": facts.c2pa, "embedded": facts.embedded, "software": software}
    return f"{_dump(fields, indent=2)}\n".encode()


def embedding(record: Provenance, media: MediaType) -> bytes:
    """Return what is inserted into a file that holds its provenance; empty where the type cannot hold any."""
    if media.mime == "image/png":
        texts = {EMBEDDING_NAME: _dump(record.to_dict()), "Description": record.prompt or ""}
        texts |= {"Software": record.software, "XML:com.adobe.xmp": _xmp(record)}
        return b"".join(_chunk(name, text) for name, text in texts.items() if text)
    if media.mime == "video/mp4":
        content = b"uuid" + XMP_BOX + _xmp(record).encode()
        return (4 + len(content)).to_bytes(4, "big") + content
    return b""


def _chunk(keyword: str, text: str) -> bytes:
    """Return an `iTXt` chunk: not compressed, and of no declared language."""
    body = b"iTXt" + keyword.encode() + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
    return (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _xmp(record: Provenance) -> str:
    return _PACKET.format(
        software=_xml(record.software),
        source=_AI,
        prompt=_xml(record.prompt or ""),
        record=_xml(_dump(record.to_dict())),
    )


def _xml(text: str) -> str:
    return escape(_XML_UNFIT.sub("\ufffd", text)).replace("\r", "&#13;")


def _dump(fields: Mapping[str, object], *, indent: int | None = None) -> str:
    text = json.dumps(fields, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which UTF-8 cannot hold
        return json.dumps(fields, indent=indent)
    return text


def _moment(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
