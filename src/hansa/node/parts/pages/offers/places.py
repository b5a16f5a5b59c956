"""Where a page of a list ended, as a text that the next page is asked for with.

The place is that of the last entity, by what the list is sorted by: what is added or removed meanwhile moves
nothing.
"""

from __future__ import annotations

import msgspec

from hansa.core.base64url import from_base64url, to_base64url
from hansa.core.errors import Code, Refused

Place = tuple[str, str]
"""By what the list is sorted, and the identifier."""


def place_text(place: Place) -> str:
    """A place as text."""
    return to_base64url(msgspec.json.encode(place))


def place_of(text: str) -> Place:
    """The place that a text is.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        place: Place = msgspec.json.decode(from_base64url(text), type=Place)
    except (ValueError, msgspec.MsgspecError) as error:
        raise no_place() from error
    return place


def no_place() -> Refused:
    """The refusal of a text that is none."""
    return Refused(Code.INVALID, "after is of no page of this list: begin it again.")
