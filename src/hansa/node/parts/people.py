"""Who looks at the pages: whoever has a session here (`hansa.portal.frame.people.People`)."""

from __future__ import annotations

from starlette.requests import Request

from hansa.core.access import ANONYMOUS, OPERATOR, PROVIDER, Caller
from hansa.core.errors import Code, Refused
from hansa.core.http import headers_of
from hansa.identity.principal import caller_of
from hansa.identity.sessions import Sessions
from hansa.portal.frame.people import LOGIN_PAGES, Person


class SessionPeople:
    """People who are logged in with a browser.

    Args:
        sessions: Of this marketplace.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def person(self, request: Request) -> Person | None:
        """Whoever is logged in."""
        session = self._sessions.of(headers_of(request.headers.raw))
        if session is None:
            return None
        principal = session.principal
        return Person(
            name=principal.name or principal.organization_name or principal.organization,
            organization=principal.organization,
            organization_name=principal.organization_name,
            is_provider=PROVIDER in principal.roles,
            is_operator=OPERATOR in principal.roles,
            csrf=self._sessions.form_token(session),
        )

    def caller(self, request: Request) -> Caller:
        """The same as the APIs see them."""
        session = self._sessions.of(headers_of(request.headers.raw))
        return ANONYMOUS if session is None else caller_of(session.principal)

    def check_form(self, request: Request, csrf: str) -> None:
        """Check that a request comes from a page of the session that it belongs to.

        Raises:
            Refused: `Code.UNAUTHENTICATED` or `Code.FORBIDDEN`.
        """
        headers = headers_of(request.headers.raw)
        session = self._sessions.of(headers)
        if session is None:
            raise Refused(Code.UNAUTHENTICATED, f"Your session is over. {LOGIN_PAGES}")
        self._sessions.check_form(session, headers, csrf)
