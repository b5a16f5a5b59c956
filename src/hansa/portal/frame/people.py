"""Who looks at a page, and pages that not everybody may see.

A page for providers or operators is a handler of a `Visit`: whoever looks, and the form that was sent.
Whoever is not logged in is led to the login and back again; whoever may not see the page is refused with a
sentence. What is sent is taken from a page of the same session alone, and then acts with the rights of that
person: the operations of the APIs decide, not the pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import parse_qsl, quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hansa.core.access import Caller
from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE, bounded_body
from hansa.portal.frame.links import address_of

FORM: Final = "application/x-www-form-urlencoded"
FORM_MAX_BYTES: Final = 512 * 1024
FIELDS_MAX: Final = 2000
LOGIN_PATH: Final = "/login"
LOGIN_PAGES: Final = "Log in first: /login."


class Role(StrEnum):
    """For whom a page is."""

    ACCOUNT = "account"
    """Everybody who is logged in."""
    PROVIDER = "provider"
    """Whoever may offer something in the name of an organisation, or of the marketplace."""
    OPERATOR = "operator"


class Person(msgspec.Struct, frozen=True):
    """Somebody who is logged in, as pages show them."""

    name: str
    """For display: of the person, or of the organisation."""
    organization: str
    """Its identifier, as `VATES-12345678`; empty: of none."""
    organization_name: str
    is_provider: bool
    is_operator: bool
    csrf: str
    """What the field `csrf` of a form carries."""

    def has(self, role: Role) -> bool:
        """Whether pages of a role are for this person."""
        if role is Role.OPERATOR:
            return self.is_operator
        return role is Role.ACCOUNT or self.is_provider or self.is_operator


class People(Protocol):
    """Knows who is logged in."""

    def person(self, request: Request, /) -> Person | None:
        """Whoever is logged in with the browser that sends a request."""

    def caller(self, request: Request, /) -> Caller:
        """The same as the APIs see them; `ANONYMOUS` for everybody else."""

    def check_form(self, request: Request, csrf: str, /) -> None:
        """Check that a request comes from a page of the session that it belongs to.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when there is no session; `Code.FORBIDDEN`.
        """


class FormFields:
    """What a form was sent with; a field can come several times, as ticked boxes do."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            values.setdefault(name, []).append(value)
        self._values = {name: tuple(texts) for name, texts in values.items()}

    def one(self, name: str) -> str:
        """A field; empty when it is not there.

        Raises:
            Refused: `Code.MALFORMED`, when it is there twice.
        """
        values = self.all(name)
        if len(values) > 1:
            raise Refused(Code.MALFORMED, f"The field {name} comes twice.")
        return values[0] if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        """All values of a field, as they came."""
        return self._values.get(name, ())

    def names(self) -> tuple[str, ...]:
        """The names of all fields, each once."""
        return tuple(self._values)


class Visit(msgspec.Struct, frozen=True):
    """A request for a page, by somebody who may see it."""

    request: Request
    person: Person
    caller: Caller
    form: FormFields


Handler = Callable[[Request], Awaitable[Response]]
VisitHandler = Callable[[Visit], Awaitable[Response]]


def page_for(people: People, role: Role, handler: VisitHandler) -> Handler:
    """A handler that only whoever has a role gets to.

    Returns:
        It raises `Refused` with `Code.UNAUTHENTICATED` (what was sent without a session), `Code.FORBIDDEN`,
        or whatever a form that cannot be read is refused with.
    """

    async def answer(request: Request) -> Response:
        person = people.person(request)
        if person is None:
            return _to_login(request)
        if not person.has(role):
            raise Refused(Code.FORBIDDEN, f"This page is for {_FOR[role]}; your credential says otherwise.")
        form = FormFields()
        if request.method == "POST":
            form = await form_fields(request)
            people.check_form(request, form.one("csrf"))
        response = await handler(Visit(request, person, people.caller(request), form))
        for name, value in NO_STORE.items():
            response.headers.setdefault(name, value)
        return response

    return answer


def see(path: str) -> Response:
    """Leads a browser that has sent a form on to a page: loading that again sends nothing again."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER, headers=NO_STORE)


async def form_fields(request: Request, size_max_bytes: int = FORM_MAX_BYTES) -> FormFields:
    """The form in a request.

    Raises:
        Refused: `Code.UNSUPPORTED_MEDIA_TYPE`, `Code.TOO_LARGE` or `Code.MALFORMED`.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != FORM:
        raise Refused(Code.UNSUPPORTED_MEDIA_TYPE, f"A form is sent as {FORM}.")
    too_large = f"A form has {size_max_bytes} bytes at most."
    body = await bounded_body(request.stream(), size_max_bytes, too_large)
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError as error:
        raise Refused(Code.MALFORMED, "The form cannot be read.") from error
    return FormFields(pairs)


_FOR: Final = {
    Role.ACCOUNT: "whoever is logged in",
    Role.PROVIDER: "whoever may offer something in the name of an organisation",
    Role.OPERATOR: "the operator of this marketplace",
}


def _to_login(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        raise Refused(Code.UNAUTHENTICATED, f"Your session is over, so nothing was changed. {LOGIN_PAGES}")
    return see(f"{LOGIN_PATH}?return_to={quote(address_of(request), safe='')}")
