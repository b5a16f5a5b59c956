"""What an operator sets of the look: name, logo, colours, imprint and terms.

A colour is refused unless it can be read: text in it, and text on it, has a contrast of 4.5 : 1 at least
(WCAG 2.2, 1.4.3) with the background of its theme.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hansa.core.errors import Code, Fatal

_COLOUR: Final = re.compile("#[0-9a-fA-F]{6}", re.ASCII)
LIGHT_BACKGROUND: Final = "#ffffff"
DARK_BACKGROUND: Final = "#14171c"
"""Of `--surface` in `static/portal.css`."""
CONTRAST_MIN: Final = 4.5


class Logo(msgspec.Struct, frozen=True):
    """A picture beside the name."""

    content: bytes
    media_type: str


class Branding(msgspec.Struct, frozen=True):
    """The look of one marketplace."""

    name: str
    accent: str = "#0b5cad"
    """Colour of links and buttons on a light background, as `#rrggbb`."""
    accent_dark: str = "#79b8ff"
    """The same on a dark background."""
    logo: Logo | None = None
    imprint: str = ""
    """Address of the page that says who runs this marketplace; empty: there is no link."""
    terms: str = ""
    """Address of the terms of use; empty: there is no link."""

    def style(self) -> str:
        """The declarations that override the tokens of the stylesheet."""
        return f"@layer brand {{ :root {{ --accent: light-dark({self.accent}, {self.accent_dark}); }} }}\n"

    def check(self) -> None:
        """Refuse colours that cannot be read.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`.
        """
        for key, colour, background in (
            ("portal_accent", self.accent, LIGHT_BACKGROUND),
            ("portal_accent_dark", self.accent_dark, DARK_BACKGROUND),
        ):
            if not _COLOUR.fullmatch(colour):
                raise Fatal(Code.SETTINGS_INVALID, f"{key} is a colour of the form #rrggbb, as #0b5cad.")
            ratio = contrast(colour, background)
            if ratio < CONTRAST_MIN:
                raise Fatal(
                    Code.SETTINGS_INVALID,
                    f"{key} {colour} on {background} has a contrast of {ratio:.1f} : 1, "
                    f"and cannot be read by everybody; at least {CONTRAST_MIN} : 1 is needed.",
                )


def contrast(one: str, other: str) -> float:
    """The contrast of two colours (WCAG 2.2, contrast ratio): 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    """Relative luminance of an sRGB colour (WCAG 2.2)."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
