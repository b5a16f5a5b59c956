"""People who look at pages, without logins."""

from __future__ import annotations

from starlette.requests import Request

from hansa.core.access import ANONYMOUS, Caller, Power
from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Person

CSRF = "of-this-session"
PERSON_HEADER = "x-person"


class RecordedPeople:
    """Knows somebody by a header, or has everybody be the same person.

    Args:
        known: By name.
        everybody: Who those are that name nobody.
    """

    def __init__(
        self, known: dict[str, tuple[Person, Caller]] | None = None, everybody: str | None = None
    ) -> None:
        self.known = known or {}
        self.everybody = everybody

    def person(self, request: Request) -> Person | None:
        one = self._one(request)
        return None if one is None else one[0]

    def caller(self, request: Request) -> Caller:
        one = self._one(request)
        return ANONYMOUS if one is None else one[1]

    def check_form(self, request: Request, csrf: str) -> None:
        if self._one(request) is None:
            raise Refused(Code.UNAUTHENTICATED, "Nobody is logged in.")
        if csrf != CSRF:
            raise Refused(Code.FORBIDDEN, "The form is of another session.")

    def _one(self, request: Request) -> tuple[Person, Caller] | None:
        name = request.headers.get(PERSON_HEADER, self.everybody)
        return None if name is None else self.known.get(name)


NOBODY = RecordedPeople()
OPERATOR = "otto"
PROVIDER = "ada"
CUSTOMER = "cleo"
PEOPLE = RecordedPeople(
    {
        OPERATOR: (
            Person("Otto", "", "", True, True, CSRF),
            Caller("urn:subject:otto", roles=frozenset({"operator"})),
        ),
        PROVIDER: (
            Person("Ada", "VATES-1", "Ada & Co", True, False, CSRF),
            Caller(
                "urn:subject:ada",
                roles=frozenset({"provider"}),
                organization="VATES-1",
                powers=(Power("DOME", "ProductOffering", ("Create", "Delete", "Update")),),
            ),
        ),
        CUSTOMER: (Person("Cleo", "VATES-2", "Cleo", False, False, CSRF), Caller("urn:subject:cleo")),
    }
)
"""One of each role."""


def as_person(name: str) -> dict[str, str]:
    """The headers of a request of somebody."""
    return {PERSON_HEADER: name}
