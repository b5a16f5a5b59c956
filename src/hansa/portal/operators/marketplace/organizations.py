"""Organisations that register here, and who is kept out.

/operator/organizations                      who registered, by state
/operator/organizations/{id}                 one of them; approve, refuse or remove it
/operator/organizations/excluded             subjects, organisations and credentials that are kept out
"""

from __future__ import annotations

from typing import Final, Protocol
from urllib.parse import quote

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.portal.frame.people import Visit
from hansa.portal.operators.marketplace.acting import BUTTON, Button, asking, field, id_of
from hansa.portal.operators.marketplace.issuing import CredentialRow
from hansa.portal.operators.operator_frame import OperatorFrame, requested_choice
from hansa.portal.operators.paging import ROWS, Turning, number, turning
from hansa.portal.operators.places import OperatorPage

PATH: Final = "/operator/organizations"
EXCLUDED_PATH: Final = "/operator/organizations/excluded"
STATES: Final = ("waiting", "approved", "removed")
KINDS: Final = ("subject", "organization", "credential")
NAME_MAX_CHARS: Final = 512


class RegisteredOrganization(msgspec.Struct, frozen=True):
    """An organisation that registered."""

    organization: str
    """Its identifier, as `VATES-12345678`."""
    name: str
    country: str
    state: str
    """One of `STATES`."""
    registrant: str
    """Subject of the employee who registered it."""
    registrant_name: str
    registrant_email: str
    roles: tuple[str, ...]
    terms: str
    """Version that was accepted last."""
    accepted: str
    """When; RFC 3339, as the others."""
    registered: str
    decided: str | None
    entity_id: str
    """Of its entity (TMF632); empty before it is approved."""


class ExcludedParty(msgspec.Struct, frozen=True):
    """A subject, an organisation or a credential that is kept out."""

    kind: str
    name: str
    since: str
    """RFC 3339."""


class OrganizationsPage(OperatorPage, frozen=True):
    """For the template `operating/organizations.html`."""

    state: str
    """Of those that are shown; empty: all."""
    terms: str
    """Version that an organisation accepts; empty: none can register."""
    organizations: tuple[RegisteredOrganization, ...]
    turning: Turning


class OrganizationPage(OperatorPage, frozen=True):
    """For the template `operating/organization.html`."""

    one: RegisteredOrganization
    terms: str
    credentials: tuple[CredentialRow, ...]
    """Of its employees and machines, as far as they were issued here."""


class ExcludedPage(OperatorPage, frozen=True):
    """For the template `operating/excluded.html`."""

    parties: tuple[ExcludedParty, ...]
    total: int
    turning: Turning


class Organizations(Protocol):
    """Has the organisations, and decides about them."""

    @property
    def terms(self) -> str:
        """Version of the operator's terms; empty: organisations do not register here."""

    async def registered(self, state: str, limit: int, offset: int, /) -> tuple[RegisteredOrganization, ...]:
        """Those of a state, or all; the oldest first."""

    async def one(self, organization: str, /) -> RegisteredOrganization | None:
        """One of them."""

    async def credentials(self, organization: str, /) -> tuple[CredentialRow, ...]:
        """Issued here in its name, newest first."""

    async def approve(self, organization: str, /) -> None:
        """Approve it, or let it in again.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def remove(self, organization: str, /) -> None:
        """Remove it; its sessions and tokens have ended when this returns.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    def excluded(self) -> tuple[ExcludedParty, ...]:
        """Who is kept out."""

    async def exclude(self, kind: str, name: str, /) -> None:
        """Keep somebody out, at once."""

    async def readmit(self, kind: str, name: str, /) -> None:
        """Let somebody in again.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """


class OrganizationPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        organizations: Has them, and decides about them.
    """

    def __init__(self, frame: OperatorFrame, organizations: Organizations) -> None:
        self._frame = frame
        self._organizations = organizations

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        frame, guarded = self._frame, self._frame.guarded
        add = Button("access-remove", self._exclude, _to_excluded, _party, FIELDS)
        end = Button("access-readmit", self._readmit, _to_excluded, _party, FIELDS)
        approve = Button("organization-approve", self._approve, _to_one)
        remove = Button("organization-remove", self._remove, _to_one)
        return [
            Route("/operator/organizations", guarded(self.organizations)),
            Route("/operator/organizations/excluded", guarded(self.excluded)),
            Route("/operator/organizations/excluded/add", asking(frame, add), methods=BUTTON),
            Route("/operator/organizations/excluded/end", asking(frame, end), methods=BUTTON),
            Route("/operator/organizations/{id}", guarded(self.organization)),
            Route("/operator/organizations/{id}/approve", asking(frame, approve), methods=BUTTON),
            Route("/operator/organizations/{id}/remove", asking(frame, remove), methods=BUTTON),
        ]

    async def organizations(self, visit: Visit) -> Response:
        """`GET /operator/organizations?state=&offset=`."""
        request = visit.request
        state, offset = requested_choice(visit, "state", ("", *STATES)), number(request, "offset")
        rows = await self._organizations.registered(state, ROWS + 1, offset)
        turned = turning(PATH, {"state": state}, offset, len(rows))
        page = OrganizationsPage(
            state, self._organizations.terms, rows[:ROWS], turned, places=self._frame.places
        )
        return self._frame.page(visit, "operating/organizations.html", page)

    async def organization(self, visit: Visit) -> Response:
        """`GET /operator/organizations/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        one = await self._organizations.one(id_of(visit))
        if one is None:
            raise Refused(Code.NOT_FOUND, "No such organisation has registered here.")
        credentials = await self._organizations.credentials(one.organization)
        page = OrganizationPage(one, self._organizations.terms, credentials, places=self._frame.places)
        return self._frame.page(visit, "operating/organization.html", page)

    async def excluded(self, visit: Visit) -> Response:
        """`GET /operator/organizations/excluded?offset=`."""
        offset = number(visit.request, "offset")
        every = sorted(self._organizations.excluded(), key=lambda one: (one.since, one.name), reverse=True)
        rows = tuple(every[offset : offset + ROWS + 1])
        turned = turning(EXCLUDED_PATH, {}, offset, len(rows))
        page = ExcludedPage(rows[:ROWS], len(every), turned, places=self._frame.places)
        return self._frame.page(visit, "operating/excluded.html", page)

    async def _approve(self, visit: Visit) -> None:
        await self._organizations.approve(id_of(visit))

    async def _remove(self, visit: Visit) -> None:
        _check_other(visit, "organization", id_of(visit))
        await self._organizations.remove(id_of(visit))

    async def _exclude(self, visit: Visit) -> None:
        kind, name = _named(visit)
        _check_other(visit, kind, name)
        await self._organizations.exclude(kind, name)

    async def _readmit(self, visit: Visit) -> None:
        kind, name = _named(visit)
        await self._organizations.readmit(kind, name)


FIELDS: Final = ("kind", "name")


def _named(visit: Visit) -> tuple[str, str]:
    kind, name = field(visit, "kind"), field(visit, "name").strip()
    if kind not in KINDS:
        raise Refused(Code.INVALID, f"kind is one of {', '.join(KINDS)}.")
    if not 0 < len(name) <= NAME_MAX_CHARS or not name.isprintable():
        raise Refused(Code.INVALID, f"name has 1 to {NAME_MAX_CHARS} printable characters.")
    return kind, name


def _check_other(visit: Visit, kind: str, name: str) -> None:
    """Refuse that somebody is locked out by their own hand, and nobody is left to undo it on a page."""
    own = {"subject": visit.caller.subject, "organization": visit.caller.organization}
    if own.get(kind) == name:
        raise Refused(Code.CONFLICT, "That is you. Whoever leaves is removed by another operator.")


def _party(visit: Visit) -> str:
    return " ".join(_named(visit))


def _to_excluded(visit: Visit) -> str:
    del visit
    return EXCLUDED_PATH


def _to_one(visit: Visit) -> str:
    return f"{PATH}/{quote(id_of(visit), safe='')}"
