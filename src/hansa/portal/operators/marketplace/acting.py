"""Buttons that change something: a page says what will be done, and asks; then it is recorded, and done.

    GET  path        the question, with a form
    POST path        records the act in the audit log with the person's pseudonym, does it, and leads on

Both are for operators. The form carries the token of the session, and whatever fields the question had.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.responses import Response

from hansa.portal.frame import Frame
from hansa.portal.frame.acts import Act, Acts, carry_out
from hansa.portal.frame.people import Handler, People, Role, Visit, VisitHandler, page_for, see
from hansa.portal.operators.places import OperatorPage, Places


def id_of(visit: Visit) -> str:
    """What the path names."""
    return str(visit.request.path_params["id"])


class QuestionPage(OperatorPage, frozen=True):
    """For the template `operating/confirm.html`."""

    act: str
    """As `organization-remove`; the template has a text for each."""
    about: str
    """What it is done to."""
    action: str
    """Path that the form is sent to."""
    back: str
    """Where nothing is done."""
    fields: tuple[tuple[str, str], ...]
    """That the form carries on."""
    csrf: str


class Button(msgspec.Struct, frozen=True):
    """Something that an operator can do."""

    act: str
    """Its name in the audit log."""
    deed: Callable[[Visit], Awaitable[object]]
    back: Callable[[Visit], str]
    """Where the browser goes afterwards, or when nothing is to be done."""
    about: Callable[[Visit], str] = id_of
    """What it is done to, for the record and for the question."""
    fields: tuple[str, ...] = ()
    """That the question takes from its query."""


BUTTON: Final = ("GET", "POST")
"""Methods of the route of a button."""


class Acting:
    """Makes the handlers of pages and buttons.

    Args:
        frame: Makes pages.
        people: Knows who is logged in.
        acts: Records what they do.
        places: Of the navigation.
    """

    def __init__(self, frame: Frame, people: People, acts: Acts, places: Places) -> None:
        self.frame: Final = frame
        self.places: Final = places
        self.people: Final = people
        self._acts = acts

    def page(self, handler: VisitHandler) -> Handler:
        """A page for operators alone."""
        return page_for(self.people, Role.OPERATOR, handler)

    def button(self, button: Button) -> Handler:
        """The question (`GET`), and what answers it (`POST`)."""

        async def ask(visit: Visit) -> Response:
            query = visit.request.query_params
            fields = tuple((name, query.get(name, "")) for name in button.fields)
            page = QuestionPage(
                act=button.act,
                about=button.about(visit),
                action=visit.request.scope["path"],
                back=button.back(visit),
                fields=fields,
                csrf=visit.person.csrf,
                places=self.places,
            )
            return self.frame.response(visit.request, "operating/confirm.html", page)

        async def handle(visit: Visit) -> Response:
            if visit.request.method != "POST":
                return await ask(visit)
            await self.done(visit, Act(button.act, button.about(visit)), lambda: button.deed(visit))
            return see(button.back(visit))

        return self.page(handle)

    async def done(self, visit: Visit, act: Act, deed: Callable[[], Awaitable[object]]) -> object:
        """Record an act of somebody, and do it; what comes out of it."""
        return await carry_out(self._acts, visit.caller, act, deed)


def field(visit: Visit, name: str) -> str:
    """A field of the form that was sent, or of the query before there is one."""
    return visit.form.one(name) or visit.request.query_params.get(name, "")
