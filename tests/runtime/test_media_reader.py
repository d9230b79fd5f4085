"""Reading local media: what is checked, what is remembered, and that a content which was changed is never sent."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from attrs import define, evolve, field

from kling_async import ImageInput, InputError, MediaFile, VideoInput
from kling_async.runtime.media_reader import PIECE, content_of, needs_reading, pieces_of, read_media
from kling_async.testing import sandbox
from kling_async.testing.sandbox.media import draw_png

PNG = draw_png("a cat", width=320, height=200)
CLIP = Path(sandbox.__file__).with_name("clip.mp4")


@define
class Memory:
    """Remembers files as a run does."""

    files: dict[Path, tuple[int, MediaFile]] = field(factory=dict[Path, tuple[int, MediaFile]])

    def find(self, path: Path, size: int | None, changed_ns: int | None) -> MediaFile | None:
        """Return a file that is unchanged, or gone."""
        known = self.files.get(path)
        if known is None or (size is not None and (size, changed_ns) != (known[1].size, known[0])):
            return None
        return known[1]

    def remember(self, path: Path, changed_ns: int, found: MediaFile) -> None:
        """Remember a file."""
        self.files[path] = (changed_ns, found)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Write a picture."""
    path = tmp_path / "a cat.png"
    path.write_bytes(PNG)
    return path


def test_a_file_is_read(picture: Path) -> None:
    """What is read has the name, the hash, the size, the type and the pixels of a file; nothing else needs reading."""
    input = VideoInput("a", image=picture, images=["https://x.test/a.png"])
    assert needs_reading(input)
    read = read_media(input, Memory())
    digest = hashlib.sha256(PNG).hexdigest()
    expected = MediaFile(name="a cat.png", sha256=digest, size=len(PNG), mime="image/png", width=320, height=200)
    assert VideoInput("a", image=expected, images=["https://x.test/a.png"]) == read
    assert not needs_reading(read)
    assert PNG == content_of(read.image) if isinstance(read.image, MediaFile) else False


def test_a_video_is_measured() -> None:
    """What is read of a video has its pixels and its seconds, wherever in the file they are."""
    read = read_media(VideoInput("a", video=CLIP), Memory()).video
    assert isinstance(read, MediaFile)
    assert (320, 180, "video/mp4") == (read.width, read.height, read.mime)
    assert read.seconds is not None
    assert CLIP.read_bytes() == content_of(read)


def test_a_data_uri_stays_as_it_is() -> None:
    """The text of a `data:` URI is what counts, so that it is checked and kept."""
    input = ImageInput("a", images=["data:image/png;base64,iVBORw0KGgo="])
    assert input == read_media(input, Memory())
    with pytest.raises(InputError, match="valid base64"):
        read_media(ImageInput("a", images=["data:image/png;base64,%%"]), Memory())


def test_all_faults_are_found_at_once(tmp_path: Path, picture: Path) -> None:
    """A missing file, a directory, an empty file, a document and an impossible path are named, all in one error."""
    for name, content in (("empty", b""), ("text", b"hello world")):
        (tmp_path / name).write_bytes(content)
    wrong = [tmp_path / "missing.png", tmp_path, tmp_path / "empty", tmp_path / "text", tmp_path / "a\0b"]
    with pytest.raises(InputError) as caught:
        read_media(VideoInput("a", image=picture, images=wrong, last_image=picture / "b"), Memory(), key="k")
    assert [
        ("last_image", "does not exist"),
        ("images[0]", "does not exist"),
        ("images[1]", "is a directory, not a file"),
        ("images[2]", "is empty"),
        ("images[3]", "is no image, video or audio of a known type: it begins with b'hello wo'"),
        ("images[4]", "is no possible path"),
    ] == [(fault.field, fault.allowed) for fault in caught.value.faults]
    assert "k" == caught.value.key


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(picture: Path) -> None:
    """A file without the permission to read it is refused, also if it was read before."""
    memory = Memory()
    read_media(VideoInput("a", image=picture), memory)
    picture.chmod(0)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        read_media(VideoInput("a", image=picture), memory)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    """A pipe would block for ever, and can be read once only."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="is not a regular file"):
        read_media(VideoInput("a", image=tmp_path / "pipe"), Memory())


def test_home_is_found(picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path from the home directory is one from there."""
    monkeypatch.setenv("HOME", str(picture.parent))
    monkeypatch.setenv("USERPROFILE", str(picture.parent))
    read = read_media(VideoInput("a", image=Path("~") / picture.name), Memory()).image
    assert isinstance(read, MediaFile)
    assert picture == read.source


def test_what_was_read_before_may_be_gone(picture: Path) -> None:
    """A file of an earlier run is known by its hash after it was removed, and cannot be sent; a changed one is read."""
    memory = Memory()
    before = read_media(VideoInput("a", image=picture), memory)
    picture.unlink()
    assert before == read_media(VideoInput("a", image=picture), memory)
    assert isinstance(before.image, MediaFile)
    with pytest.raises(InputError, match="is gone since it was read"):
        content_of(before.image)
    picture.write_bytes(PNG + b"1")
    assert before != read_media(VideoInput("a", image=picture), memory)


@pytest.mark.parametrize("content", [PNG[:-1] + b"?", PNG[:-1], PNG + b"?", b"\x89PNG\r\n\x1a\n"])
def test_a_changed_file_is_not_sent(picture: Path, content: bytes) -> None:
    """A content that differs by one byte, is shorter or is longer never comes to its end."""
    read = read_media(VideoInput("a", image=picture), Memory()).image
    picture.write_bytes(content)
    assert isinstance(read, MediaFile)
    with pytest.raises(InputError, match="was changed since it was read"):
        content_of(read)


def test_large_files_come_in_pieces(tmp_path: Path) -> None:
    """No more than a piece of a file is in memory at once, and bytes that were given come in pieces as well."""
    content = PNG + bytes(3 * PIECE)
    (tmp_path / "large.png").write_bytes(content)
    read = read_media(VideoInput("a", image=tmp_path / "large.png"), Memory()).image
    assert isinstance(read, MediaFile)
    for media in (read, evolve(read, source=content)):
        pieces = list(pieces_of(media))
        assert PIECE == max(map(len, pieces))
        assert content == b"".join(pieces)
