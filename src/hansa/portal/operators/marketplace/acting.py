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

from hansa.portal.frame.people import Handler, Visit, see
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.places import OperatorPage


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


def asking(frame: OperatorFrame, button: Button) -> Handler:
    """A handler of a button: the question (`GET`), and what answers it (`POST`)."""

    def ask(visit: Visit) -> Response:
        query = visit.request.query_params
        page = QuestionPage(
            act=button.act,
            about=button.about(visit),
            action=visit.request.scope["path"],
            back=button.back(visit),
            fields=tuple((name, query.get(name, "")) for name in button.fields),
            csrf=visit.person.csrf,
            places=frame.places,
        )
        return frame.response(visit, "operating/confirm.html", page)

    async def handle(visit: Visit) -> Response:
        if visit.request.method != "POST":
            return ask(visit)
        await frame.carry_out(visit, button.act, button.about(visit), lambda: button.deed(visit))
        return see(button.back(visit))

    return frame.guarded(handle)


def field(visit: Visit, name: str) -> str:
    """A field of the form that was sent, or of the query before there is one."""
    return visit.form.one(name) or visit.request.query_params.get(name, "")
