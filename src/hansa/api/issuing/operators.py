"""What operators order of the issuer: offers, and what becomes of credentials."""

from __future__ import annotations

from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import json_body
from hansa.api.callers import require_operator
from hansa.api.parameters import POSITION_MAX, Parameters, Reader, page_size, position
from hansa.api.responses import json_response
from hansa.core.access import Authenticate
from hansa.core.bounded_json import UNREADABLE
from hansa.core.clock import rfc3339_at, rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.core.http import NO_STORE
from hansa.core.limits import Limits
from hansa.identity.issuing import STATUSES, CredentialIssuer, CredentialStatus, MandateOrder
from hansa.store import Store
from hansa.store.tables import issuing
from hansa.store.tables.issuing import IssuedCredential

ORDER_SIZE_MAX_BYTES: Final = 32_768
OFFERS_SHOWN_MAX: Final = 1000
_PAGES: Final[dict[str, Reader]] = {"offset": position, "limit": page_size}

T = TypeVar("T")


class OfferRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An offer that is to be made."""

    order: MandateOrder
    """What is offered."""
    expires_in_s: int = 86_400
    """How long it waits."""


class OfferReport(msgspec.Struct, frozen=True):
    """An offer that was made."""

    id: str
    """By which it can be withdrawn."""
    url: str
    """For the wallet; as a link or a QR code."""
    tx_code: str
    """To be told to the person on another way; it is not shown again."""
    expires: str
    """When the offer ends."""


class WaitingOffer(msgspec.Struct, frozen=True):
    """An offer that waits, or whose wallet is at it."""

    id: str
    """By which it can be withdrawn."""
    holder: str
    """For whom it is."""
    organization: str
    """In whose name."""
    state: str
    """`waits`, or `redeemed` when its code was used."""
    created: str
    """When it was made."""
    expires: str
    """When it ends."""


class CredentialReport(msgspec.Struct, frozen=True):
    """A credential that was issued."""

    id: str
    """Its identifier."""
    configuration: str
    """Its kind."""
    holder: str
    """Name of the person or service."""
    email: str
    """Of the person."""
    organization: str
    """Identifier of the organisation."""
    organization_name: str
    """Its name."""
    status: CredentialStatus
    """`valid`, `revoked` or `suspended`."""
    issued: str
    """When it was issued."""
    expires: str
    """When it ends."""


class StatusRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to become of a credential."""

    status: CredentialStatus
    """`revoked` is final."""


class OrdersApi:
    """Handlers of these paths; all of them are for operators."""

    def __init__(
        self,
        issuer: CredentialIssuer,
        store: Store,
        authenticate: Authenticate,
        limits: Limits,
        endpoint: str,
    ) -> None:
        self._issuer = issuer
        self._store = store
        self._authenticate = authenticate
        self._limits = limits
        self._endpoint = endpoint

    async def add(self, request: Request) -> Response:
        """`POST /oid4vci/offers`."""
        require_operator(self._authenticate, request)
        requested = _read(await json_body(request, ORDER_SIZE_MAX_BYTES), OfferRequest)
        offer = await self._issuer.offer(requested.order, requested.expires_in_s)
        url = offer_link(self._endpoint, offer.reference)
        report = OfferReport(offer.id, url, offer.tx_code, rfc3339_at(offer.expires_s))
        response = json_response(report, headers=NO_STORE)
        response.status_code = 201
        return response

    async def offers(self, request: Request) -> Response:
        """`GET /oid4vci/offers`: those that wait, newest first."""
        require_operator(self._authenticate, request)
        Parameters(request, (), self._limits)
        reports = []
        for one in await issuing.offers(self._store, OFFERS_SHOWN_MAX):
            order = msgspec.json.decode(one.content, type=MandateOrder)
            state = "waits" if one.token is None else "redeemed"
            times = rfc3339_at_ms(one.created_ms), rfc3339_at_ms(one.expires_ms)
            reports.append(WaitingOffer(one.id, order.name, order.organization, state, *times))
        return json_response(reports, headers=NO_STORE)

    async def withdraw(self, request: Request) -> Response:
        """`DELETE /oid4vci/offers/{id}`.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        require_operator(self._authenticate, request)
        await self._issuer.withdraw(request.path_params["id"])
        return Response(status_code=204)

    async def credentials(self, request: Request) -> Response:
        """`GET /oid4vci/credentials`: those that were issued, newest first."""
        require_operator(self._authenticate, request)
        parameters = Parameters(request, _PAGES, self._limits)
        limit = parameters.page_size(self._limits.list_limit_default)
        offset = parameters.number("offset", 0, 0, POSITION_MAX)
        issued = await issuing.credentials(self._store, limit, offset)
        return json_response([credential_report(one) for one in issued], headers=NO_STORE)

    async def set_status(self, request: Request) -> Response:
        """`PUT /oid4vci/credentials/{id}/status`.

        Raises:
            Refused: `Code.NOT_FOUND` or `Code.CONFLICT`.
        """
        require_operator(self._authenticate, request)
        requested = _read(await json_body(request, ORDER_SIZE_MAX_BYTES), StatusRequest)
        credential = await self._issuer.set_status(request.path_params["id"], requested.status)
        return json_response(credential_report(credential), headers=NO_STORE)


def offer_link(endpoint: str, reference: str) -> str:
    """The link of an offer, for a wallet."""
    address = f"{endpoint}/oid4vci/offers/{reference}"
    return f"openid-credential-offer://?credential_offer_uri={quote(address, safe='')}"


def _read(body: bytes, type: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type)
    except UNREADABLE as error:
        raise Refused(Code.INVALID, f"The body is not what is taken here: {error}.") from error


def credential_report(one: IssuedCredential) -> CredentialReport:
    """What operators are shown of a credential."""
    return CredentialReport(
        one.id,
        one.configuration,
        one.holder,
        one.email,
        one.organization,
        one.organization_name,
        STATUSES[one.status],
        rfc3339_at_ms(one.issued_ms),
        rfc3339_at_ms(one.expires_ms),
    )
