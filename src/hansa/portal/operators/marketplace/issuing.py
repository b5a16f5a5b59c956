"""Credentials that are issued here, for development: offers, and what becomes of them.

/operator/organizations/credentials          offer one; offers that wait; what was issued; revoke, suspend

The link of an offer and its transaction code are shown once, on the answer to the form, and are in no record.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from hansa.core.errors import Code, Refused
from hansa.identity.issuing import MandateOrder, power_of
from hansa.portal.frame.people import FormFields, Handler, Visit
from hansa.portal.operators.marketplace.acting import BUTTON, Button, asking, id_of
from hansa.portal.operators.operator_frame import OperatorFrame
from hansa.portal.operators.paging import ROWS, Turning, number, turning
from hansa.portal.operators.places import OperatorPage

PATH: Final = "/operator/organizations/credentials"
POWERS_MAX: Final = 32
USUAL_POWERS: Final = ("Onboarding:Execute", "ProductOffering:Create,Update,Delete")


class CredentialRow(msgspec.Struct, frozen=True):
    """A credential that was issued here."""

    id: str
    configuration: str
    organization: str
    organization_name: str
    holder: str
    email: str
    status: str
    """`valid`, `revoked` or `suspended`."""
    issued: str
    """RFC 3339."""
    expires: str


class OfferRow(msgspec.Struct, frozen=True):
    """An offer that waits for a wallet."""

    id: str
    holder: str
    organization: str
    is_redeemed: bool
    """Whether its code was used."""
    expires: str


class MadeOffer(msgspec.Struct, frozen=True):
    """An offer that was just made."""

    id: str
    link: str
    """For the wallet."""
    tx_code: str
    expires: str


class CredentialsPage(OperatorPage, frozen=True):
    """For the template `operating/credentials.html`."""

    is_on: bool
    """Whether credentials are issued here."""
    offers: tuple[OfferRow, ...]
    credentials: tuple[CredentialRow, ...]
    turning: Turning
    powers: str
    """That the form begins with."""
    organization: str
    """That the form begins with."""
    csrf: str
    made: MadeOffer | None = None


class Issuing(Protocol):
    """Offers and revokes credentials."""

    @property
    def is_on(self) -> bool:
        """Whether credentials are issued here."""

    async def offers(self) -> tuple[OfferRow, ...]:
        """Those that wait, newest first."""

    async def issued(self, limit: int, offset: int, /) -> tuple[CredentialRow, ...]:
        """Credentials, newest first."""

    async def offer(self, order: MandateOrder, /) -> MadeOffer:
        """Offer a credential.

        Raises:
            Refused: `Code.INVALID`, or `Code.NOT_FOUND` where none are issued.
        """

    async def withdraw(self, id: str, /) -> None:
        """End an offer.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """

    async def set_status(self, id: str, status: str, /) -> None:
        """Revoke (`revoked`) or suspend (`suspended`) a credential, or end a suspension (`valid`).

        Raises:
            Refused: `Code.NOT_FOUND` or `Code.CONFLICT`.
        """


class IssuingPages:
    """The handlers.

    Args:
        frame: Of pages for operators.
        issuing: Offers and revokes credentials.
    """

    def __init__(self, frame: OperatorFrame, issuing: Issuing) -> None:
        self._frame = frame
        self._issuing = issuing

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        guarded = self._frame.guarded
        withdraw = Button("offer-withdraw", self._withdraw, _to_credentials)
        return [
            Route("/operator/organizations/credentials", guarded(self.credentials)),
            Route("/operator/organizations/credentials", guarded(self.offer), methods=["POST"]),
            Route(
                "/operator/organizations/credentials/offers/{id}/withdraw",
                asking(self._frame, withdraw),
                methods=BUTTON,
            ),
            Route(
                "/operator/organizations/credentials/{id}/revoke",
                self._setting("revoke", "revoked"),
                methods=BUTTON,
            ),
            Route(
                "/operator/organizations/credentials/{id}/suspend",
                self._setting("suspend", "suspended"),
                methods=BUTTON,
            ),
            Route(
                "/operator/organizations/credentials/{id}/resume",
                self._setting("resume", "valid"),
                methods=BUTTON,
            ),
        ]

    async def credentials(self, visit: Visit) -> Response:
        """`GET /operator/organizations/credentials?offset=&organization=`."""
        page = await self._page(visit)
        return self._frame.page(visit, "operating/credentials.html", page)

    async def offer(self, visit: Visit) -> Response:
        """`POST /operator/organizations/credentials`: offers a credential, and shows the link once.

        Raises:
            Refused: `Code.INVALID`.
        """
        order = _order(visit.form)
        made = await self._frame.carry_out(
            visit, "credential-offer", order.organization, lambda: self._issuing.offer(order)
        )
        page = msgspec.structs.replace(await self._page(visit), made=made)
        return self._frame.response(visit, "operating/credentials.html", page)

    async def _withdraw(self, visit: Visit) -> None:
        await self._issuing.withdraw(id_of(visit))

    def _setting(self, name: str, status: str) -> Handler:
        async def deed(visit: Visit) -> None:
            await self._issuing.set_status(id_of(visit), status)

        return asking(self._frame, Button(f"credential-{name}", deed, _to_credentials))

    async def _page(self, visit: Visit) -> CredentialsPage:
        offset = number(visit.request, "offset")
        rows = await self._issuing.issued(ROWS + 1, offset)
        return CredentialsPage(
            is_on=self._issuing.is_on,
            offers=await self._issuing.offers(),
            credentials=rows[:ROWS],
            turning=turning(PATH, {}, offset, len(rows)),
            powers="\n".join(USUAL_POWERS),
            organization=visit.request.query_params.get("organization", "")[:256],
            csrf=visit.person.csrf,
            places=self._frame.places,
        )


def _order(form: FormFields) -> MandateOrder:
    """What the form orders.

    Raises:
        Refused: `Code.INVALID`.
    """
    lines = [line.strip() for line in form.one("powers").splitlines() if line.strip()]
    if len(lines) > POWERS_MAX:
        raise Refused(Code.INVALID, f"A mandate from this form has {POWERS_MAX} powers at most.")
    return MandateOrder(
        kind="machine" if form.one("kind") == "machine" else "employee",
        organization=form.one("organization").strip(),
        organization_name=form.one("organization_name").strip(),
        country=form.one("country").strip().upper(),
        powers=tuple(map(power_of, lines)),
        name=form.one("name").strip(),
        email=form.one("email").strip(),
    )


def _to_credentials(visit: Visit) -> str:
    del visit
    return PATH
