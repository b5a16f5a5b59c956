"""A picture of a stranger becomes a small one of ours: pixels alone, without anything else that was in it.

What is decoded is untrusted: its format is one of a few, its size is read before its pixels are, and of a
moving one the first picture is taken. Nothing but pixels gets into what is served.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Final

from PIL import Image

from hansa.portal.catalogue.pictures import PictureUnusable

FORMATS: Final = ("JPEG", "PNG", "WEBP", "GIF")
PIXELS_MAX: Final = 16_000_000
"""Of a picture that is decoded: 64 MB in memory."""
SIDE_MAX: Final = 960
"""Of a picture that is served."""
QUALITY: Final = 80
_UNREADABLE: Final = (
    *(OSError, ValueError, SyntaxError, EOFError, OverflowError, MemoryError, IndexError, TypeError),
    *(struct.error, Image.DecompressionBombError, Image.DecompressionBombWarning),
)


def encoded(raw: bytes) -> bytes:
    """A picture as WebP, `SIDE_MAX` wide and high at most.

    Raises:
        PictureUnusable: When it cannot be read, or has too many pixels.
    """
    try:
        with Image.open(BytesIO(raw), formats=FORMATS) as opened:
            if opened.width * opened.height > PIXELS_MAX:
                raise PictureUnusable
            opened.draft("RGB", (SIDE_MAX, SIDE_MAX))
            has_alpha = opened.has_transparency_data
            picture = opened.convert("RGBA" if has_alpha else "RGB")
        picture.thumbnail((SIDE_MAX, SIDE_MAX))
        plain = Image.new(picture.mode, picture.size)
        plain.paste(picture)
        content = BytesIO()
        plain.save(content, "WEBP", quality=QUALITY)
    except _UNREADABLE as error:
        raise PictureUnusable from error
    return content.getvalue()
