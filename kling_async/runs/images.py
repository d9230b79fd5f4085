"""Images of any origin, opened with care: four formats only, no decompression bombs; and small ones out of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

__all__ = ["IMAGES", "load_small"]

IMAGES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif")
"""The suffixes of files that are opened."""
_MAX_PIXELS: Final = 80_000_000
"""Of an image that is opened: those of 8k, twice. It takes 4 bytes each, so 320 MB."""


def load_small(path: Path, size: int, *, enlarge_none: bool = False) -> Image | None:
    """Return an image, no wider and no higher than so many pixels, and as it is if it is smaller.

    Args:
        path: its file, whose suffix tells its format.
        size: pixels of the longer side at most.
        enlarge_none: return None for an image that is not larger.

    Returns:
        the image; None if it cannot be read, is too large, or Pillow is not installed.
    """
    try:
        return _load(path, size, enlarge_none=enlarge_none)
    except Exception:  # noqa: BLE001 - what Pillow raises for a broken file may be anything, and the original is shown then
        return None


def _load(path: Path, size: int, *, enlarge_none: bool) -> Image | None:
    from PIL import GifImagePlugin, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: PLC0415 - an extra

    # By its own class, as `Image.open` tries every format there is, and warns of a large image before we can refuse it.
    kinds: dict[str, Callable[[IO[bytes]], ImageFile]] = {
        ".png": PngImagePlugin.PngImageFile,
        ".jpg": JpegImagePlugin.JpegImageFile,
        ".jpeg": JpegImagePlugin.JpegImageFile,
        ".webp": WebPImagePlugin.WebPImageFile,
        ".gif": GifImagePlugin.GifImageFile,
    }
    with path.open("rb") as file, kinds[path.suffix.lower()](file) as opened:
        if opened.width * opened.height > _MAX_PIXELS or (enlarge_none and max(opened.size) <= size):
            return None
        opened.draft("RGB", (size, size))  # a JPEG is decoded at a fraction of its size
        opened.load()
        image: Image = ImageOps.exif_transpose(opened)
        if image.mode not in ("RGB", "RGBA"):
            has_alpha = image.mode in ("LA", "PA") or "transparency" in image.info
            image = image.convert("RGBA" if has_alpha else "RGB")
        image.thumbnail((size, size), reducing_gap=2.0)
        return image
