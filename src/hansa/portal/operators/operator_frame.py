"""What the handlers of operators' pages share: who gets to them, what is shown, what is on record."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from starlette.responses import Response

from hansa.core.errors import Code, Refused
from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.frame.people import Handler, People, Role, Visit, VisitHandler, page_for
from hansa.portal.operators.places import Places

T = TypeVar("T")


class OperatorFrame:
    """What makes pages for operators.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        acts: Records what operators do.
        places: Of the navigation.
    """

    def __init__(self, frame: Frame, people: People, acts: Acts, places: Places) -> None:
        self._frame = frame
        self._people = people
        self._acts = acts
        self.places = places

    def guarded(self, handler: VisitHandler) -> Handler:
        """A handler that only operators get to."""
        return page_for(self._people, Role.OPERATOR, handler)

    def page(self, visit: Visit, template: str, page: msgspec.Struct) -> Response:
        """A page, or what it shows as JSON."""
        return self._frame.negotiated(visit.request, template, page)

    def response(self, visit: Visit, template: str, page: msgspec.Struct) -> Response:
        """A page for browsers alone: a question, or what is shown once."""
        return self._frame.response(visit.request, template, page)

    async def carry_out(self, visit: Visit, name: str, about: str, deed: Callable[[], Awaitable[T]]) -> T:
        """Do something that is on record then.

        Args:
            visit: Of whoever does it.
            name: What, as `member-pause`.
            about: What it is done to.
            deed: Does it.

        Raises:
            HansaError: Of the deed, or because it cannot be recorded.
        """
        return await carry_out(self._acts, visit.caller, Act(name, about), deed)


def requested_number(visit: Visit, name: str, default: int, least: int, most: int) -> int:
    """A number in the query of a page.

    Raises:
        Refused: `Code.INVALID`.
    """
    text = visit.request.query_params.get(name, "")
    if not text:
        return default
    digits = text if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else ""
    if not digits or not least <= int(digits) <= most:
        raise Refused(Code.INVALID, f"{name} is a whole number from {least} to {most}.")
    return int(digits)


def requested_choice(visit: Visit, name: str, choices: tuple[str, ...]) -> str:
    """One of several words in the query of a page; the first of them, when none is asked for.

    Raises:
        Refused: `Code.INVALID`.
    """
    text = visit.request.query_params.get(name, "") or choices[0]
    if text not in choices:
        raise Refused(Code.INVALID, f"{name} is one of {', '.join(one for one in choices if one)}.")
    return text
