"""Employees of a registered organisation: invited with a credential that is issued here, and removed.

Somebody whose mandate has the power `Onboarding`/`Execute` invites a colleague: an offer of a mandate in the
name of the organisation, with no power that the one who invites does not have. Removing a colleague revokes
the credential, and ends its sessions and tokens at once. Both are for the organisation's own people, and for
what was issued at this marketplace: credentials that others issued are revoked by their issuers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hansa.core.errors import Code, Refused
from hansa.identity.endings import Endings
from hansa.identity.issuing import CredentialIssuer, MandateOrder, NewOffer, OrderedPower
from hansa.identity.onboarding.registering import Onboarding
from hansa.identity.principal import Principal
from hansa.store import Store
from hansa.store.tables import issuing
from hansa.store.tables.issuing import IssuedCredential

EMPLOYEES_SHOWN_MAX: Final = 1000
INVITATION_LIFE_S: Final = 7 * 86_400


class Employees:
    """Invites and removes employees. To be used on one event loop.

    Args:
        onboarding: Knows which organisations are approved.
        issuer: Offers and revokes credentials.
        store: Has what was issued.
        endings: Of sessions and tokens.
    """

    def __init__(
        self, onboarding: Onboarding, issuer: CredentialIssuer, store: Store, endings: Endings
    ) -> None:
        self._onboarding = onboarding
        self._issuer = issuer
        self._store = store
        self._endings = endings

    async def of(self, principal: Principal) -> tuple[IssuedCredential, ...]:
        """The credentials that were issued here in the name of somebody's organisation, newest first.

        Raises:
            Refused: `Code.FORBIDDEN`, to whoever may not manage its employees.
        """
        await self._check(principal)
        return await issuing.credentials_of(self._store, principal.organization, EMPLOYEES_SHOWN_MAX)

    async def invite(
        self, principal: Principal, name: str, email: str, powers: Sequence[OrderedPower]
    ) -> NewOffer:
        """Offer a credential to a colleague.

        Args:
            principal: Who invites.
            name: Of the colleague.
            email: Of the colleague.
            powers: What the mandate is for.

        Raises:
            Refused: `Code.FORBIDDEN`, to whoever may not, or for a power that the one who invites lacks;
                `Code.INVALID`.
            Unavailable: `Code.OVERLOADED`, when too many offers wait.
        """
        await self._check(principal)
        for power in powers:
            missing = [
                action
                for action in power.actions
                if not any(one.covers(power.domain, power.function, action) for one in principal.powers)
            ]
            if missing:
                raise Refused(Code.FORBIDDEN, "Nobody gives a power that is not in the own mandate.")
        order = MandateOrder(
            kind="employee",
            organization=principal.organization,
            organization_name=principal.organization_name or principal.organization,
            country=principal.country,
            powers=tuple(powers),
            name=name,
            email=email,
        )
        return await self._issuer.offer(order, INVITATION_LIFE_S)

    async def remove(self, principal: Principal, credential_id: str) -> None:
        """Remove a colleague: the credential is revoked, and nobody who presented it is logged in any more.

        Raises:
            Refused: `Code.FORBIDDEN`, to whoever may not; `Code.NOT_FOUND`, when it is none of the
                organisation's.
        """
        await self._check(principal)
        credential = await issuing.credential(self._store, credential_id)
        if credential is None or credential.organization != principal.organization:
            raise Refused(Code.NOT_FOUND, "No such credential was issued here for your organisation.")
        await self._endings.remove("credential", credential_id)
        await self._issuer.set_status(credential_id, "revoked")

    async def _check(self, principal: Principal) -> None:
        if not self._onboarding.may_register(principal):
            raise Refused(Code.FORBIDDEN, "This needs a mandate with the power Onboarding/Execute.")
        one = await self._onboarding.of(principal.organization)
        if one is None or one.state != "approved":
            raise Refused(Code.FORBIDDEN, "The organisation is not approved here.")
