"""Forms that survive the end of a session.

What somebody sends when their session is over is shown again, not lost: a page leads to the login, in a
window of its own, and holds what was typed. Sent again from there, it is of another session than the one
that is open now, and nothing is changed by it either: the form is shown with what was typed, to be sent once
more from a page of this session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE
from hansa.portal.frame import Frame
from hansa.portal.frame.frame import wants_json
from hansa.portal.frame.people import (
    Handler,
    People,
    Role,
    Visit,
    VisitHandler,
    form_fields,
    page_for,
)

CSRF_FIELD: Final = "csrf"
SentHandler = Callable[[Visit, bool], Awaitable[Response]]
"""Takes what was sent; True: from a page of another session, so that nothing is to be changed."""


class SentField(msgspec.Struct, frozen=True):
    """A field as it was sent."""

    name: str
    text: str


class SessionOverPage(msgspec.Struct, frozen=True):
    """For the template `editing/over.html`."""

    path: str
    sent: tuple[SentField, ...]


def form_for(people: People, frame: Frame, shown: VisitHandler, sent: SentHandler) -> Handler:
    """A handler of the page with a form, and of what it sends, for providers.

    Returns:
        It raises `Refused` as one of `page_for` does; `Code.UNAUTHENTICATED` of what a script sends.
    """
    show = page_for(people, Role.PROVIDER, shown)

    async def answer(request: Request) -> Response:
        if request.method != "POST":
            return await show(request)
        form = await form_fields(request)
        person = people.person(request)
        if person is None:
            if wants_json(request):
                raise Refused(Code.UNAUTHENTICATED, "Your session is over: log in again.")
            fields = [(name, text) for name in form.names() for text in form.all(name)]
            fields_sent = tuple(SentField(name, text) for name, text in fields if name != CSRF_FIELD)
            page = SessionOverPage(request.scope["path"], fields_sent)
            return frame.response(
                request, "editing/over.html", page, status=HTTPStatus.UNAUTHORIZED, headers=NO_STORE
            )
        if not person.has(Role.PROVIDER):
            raise Refused(Code.FORBIDDEN, "This page is for whoever may offer something.")
        is_of_other_session = False
        try:
            people.check_form(request, form.one(CSRF_FIELD))
        except Refused as error:
            if error.code is not Code.FORBIDDEN or wants_json(request):
                raise
            is_of_other_session = True
        response = await sent(Visit(request, person, people.caller(request), form), is_of_other_session)
        for name, text in NO_STORE.items():
            response.headers.setdefault(name, text)
        return response

    return answer
