"""Organisations, who is kept out, and credentials, as the pages of operators need them."""

from __future__ import annotations

from typing import Final, get_args

import msgspec

from hansa.api.issuing.operators import OFFERS_SHOWN_MAX, credential_report, offer_link
from hansa.core.clock import rfc3339_at, rfc3339_at_ms
from hansa.core.errors import Code, Refused
from hansa.identity.endings import Endings
from hansa.identity.issuing import CredentialIssuer, CredentialStatus, MandateOrder
from hansa.identity.onboarding import Onboarding
from hansa.identity.sessions import BrowserSessions
from hansa.portal.operators.marketplace.issuing import CredentialRow, MadeOffer, OfferRow
from hansa.portal.operators.marketplace.organizations import ExcludedParty, RegisteredOrganization
from hansa.store import Store
from hansa.store.tables import issuing
from hansa.store.tables.issuing import IssuedCredential
from hansa.store.tables.logins.endings import PartyKind
from hansa.store.tables.onboarding import registrations
from hansa.store.tables.onboarding.registrations import Registration, RegistrationState

OFFER_LIFE_S: Final = 86_400
CREDENTIALS_SHOWN_MAX: Final = 200
_STATES: Final[tuple[RegistrationState, ...]] = get_args(RegistrationState)
_KINDS: Final[tuple[PartyKind, ...]] = get_args(PartyKind)
_STATUSES: Final[tuple[CredentialStatus, ...]] = get_args(CredentialStatus)


class StoredOrganizations:
    """The `Organizations` of the pages.

    Args:
        store: Has the registrations.
        onboarding: Decides; None: organisations do not register here.
        endings: Knows who is kept out.
        sessions: Of browsers.
    """

    def __init__(
        self, store: Store, onboarding: Onboarding | None, endings: Endings, sessions: BrowserSessions
    ) -> None:
        self._store = store
        self._onboarding = onboarding
        self._endings = endings
        self._sessions = sessions

    @property
    def terms(self) -> str:
        """See `Organizations`, as for what follows."""
        return self._onboarding.terms if self._onboarding is not None else ""

    async def registered(self, state: str, limit: int, offset: int) -> tuple[RegisteredOrganization, ...]:
        """Those of a state, or all."""
        of_state = next((one for one in _STATES if one == state), None)
        rows = await registrations.registrations(self._store, of_state, limit, offset)
        return tuple(map(_registered, rows))

    async def one(self, organization: str) -> RegisteredOrganization | None:
        """One of them."""
        known = await registrations.registration(self._store, organization)
        return None if known is None else _registered(known)

    async def credentials(self, organization: str) -> tuple[CredentialRow, ...]:
        """Issued in its name."""
        rows = await issuing.credentials_of(self._store, organization, CREDENTIALS_SHOWN_MAX)
        return tuple(map(_credential, rows))

    async def approve(self, organization: str) -> None:
        """Approve it."""
        await self._deciding().approve(organization)

    async def remove(self, organization: str) -> None:
        """Remove it."""
        await self._deciding().remove(organization)

    def excluded(self) -> tuple[ExcludedParty, ...]:
        """Who is kept out."""
        return tuple(
            ExcludedParty(one.kind, one.name, rfc3339_at(one.since_s)) for one in self._endings.parties
        )

    async def exclude(self, kind: str, name: str) -> None:
        """Keep somebody out, with the sessions that are open."""
        known = next(one for one in _KINDS if one == kind)
        await self._endings.remove(known, name)
        if known == "subject":
            await self._sessions.end_all_of(name)

    async def readmit(self, kind: str, name: str) -> None:
        """Let somebody in again."""
        known = next(one for one in _KINDS if one == kind)
        if not await self._endings.readmit(known, name):
            raise Refused(Code.NOT_FOUND, "Nobody of this name is kept out.")

    def _deciding(self) -> Onboarding:
        if self._onboarding is None:
            raise Refused(Code.NOT_FOUND, "Organisations do not register here: onboarding_terms is not set.")
        return self._onboarding


class StoredIssuing:
    """The `Issuing` of the pages.

    Args:
        store: Has what was offered and issued.
        issuer: Offers and revokes; None: nothing is issued here.
        endpoint: Of the marketplace.
    """

    def __init__(self, store: Store, issuer: CredentialIssuer | None, endpoint: str) -> None:
        self._store = store
        self._issuer = issuer
        self._endpoint = endpoint

    @property
    def is_on(self) -> bool:
        """See `Issuing`, as for what follows."""
        return self._issuer is not None

    async def offers(self) -> tuple[OfferRow, ...]:
        """Those that wait."""
        rows = []
        for one in await issuing.offers(self._store, OFFERS_SHOWN_MAX):
            order = msgspec.json.decode(one.content, type=MandateOrder)
            is_redeemed = one.token is not None
            rows.append(
                OfferRow(one.id, order.name, order.organization, is_redeemed, rfc3339_at_ms(one.expires_ms))
            )
        return tuple(rows)

    async def issued(self, limit: int, offset: int) -> tuple[CredentialRow, ...]:
        """Credentials."""
        return tuple(map(_credential, await issuing.credentials(self._store, limit, offset)))

    async def offer(self, order: MandateOrder) -> MadeOffer:
        """Offer a credential."""
        made = await self._issuing().offer(order, OFFER_LIFE_S)
        link = offer_link(self._endpoint, made.reference)
        return MadeOffer(made.id, link, made.tx_code, rfc3339_at(made.expires_s))

    async def withdraw(self, id: str) -> None:
        """End an offer."""
        await self._issuing().withdraw(id)

    async def set_status(self, id: str, status: str) -> None:
        """Revoke or suspend a credential, or end a suspension."""
        known = next(one for one in _STATUSES if one == status)
        await self._issuing().set_status(id, known)

    def _issuing(self) -> CredentialIssuer:
        if self._issuer is None:
            raise Refused(Code.NOT_FOUND, "No credentials are issued here: the setting issuing is off.")
        return self._issuer


def _registered(one: Registration) -> RegisteredOrganization:
    return RegisteredOrganization(
        organization=one.organization,
        name=one.name,
        country=one.country,
        state=one.state,
        registrant=one.registrant,
        registrant_name=one.registrant_name,
        registrant_email=one.registrant_email,
        roles=tuple(one.roles.split()),
        terms=one.terms,
        accepted=rfc3339_at_ms(one.accepted_ms),
        registered=rfc3339_at_ms(one.registered_ms),
        decided=None if one.decided_ms is None else rfc3339_at_ms(one.decided_ms),
        entity_id=one.organization_id,
    )


def _credential(one: IssuedCredential) -> CredentialRow:
    return msgspec.convert(credential_report(one), CredentialRow, from_attributes=True)
