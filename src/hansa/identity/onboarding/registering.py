"""Organisations that register with a marketplace.

    waiting ──approve──▶ approved ──remove──▶ removed ──approve──▶ approved
       └──────────────────remove────────────────▲

An employee whose mandate has the power `Onboarding`/`Execute` registers the organisation, and accepts the
operator's terms: their version and the time are recorded. When the terms change, it is accepted anew in the
same way. Approving makes the organisation an entity (TMF632) with its roles (TMF669), once.

Removing holds at once: sessions and tokens of everybody of the organisation end, and no login succeeds, until
it is approved again. What it published stays, and is the operator's to withdraw.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hansa.core.clock import Clock, epoch_ms
from hansa.core.errors import Code, Refused, Unavailable
from hansa.identity.endings import Endings
from hansa.identity.onboarding.party_roles import PartyRoles
from hansa.identity.principal import Principal, RoleRules
from hansa.store import Store
from hansa.store.tables.onboarding import registrations
from hansa.store.tables.onboarding.registrations import Registration

WAITING_MAX: Final = 10_000
TERMS_MAX_CHARS: Final = 128
SELLER: Final = "Seller"
BUYER: Final = "Buyer"

_POWER: Final = ("Onboarding", "Execute")
_OFFERING: Final = "ProductOffering"

PublishOrganization = Callable[[Registration], Awaitable[str]]
"""Makes the entities of an organisation; returns the identifier of the organisation's."""


class Onboarding:
    """Registers organisations. To be used on one event loop.

    Args:
        store: Has the registrations.
        endings: Of sessions and tokens.
        publish: Makes the entities of an approved organisation.
        rules: What powers mean here.
        terms: Version of the operator's terms.
        clock: For all times.
        party_roles: Learns what approved organisations are here.
    """

    def __init__(
        self,
        store: Store,
        endings: Endings,
        publish: PublishOrganization,
        rules: RoleRules,
        terms: str,
        clock: Clock,
        party_roles: PartyRoles | None = None,
    ) -> None:
        assert 0 < len(terms) <= TERMS_MAX_CHARS, "onboarding has terms"
        self._store = store
        self._endings = endings
        self._publish = publish
        self._rules = rules
        self.terms: Final = terms
        self._clock = clock
        self._party_roles = party_roles or PartyRoles(store)

    def may_register(self, principal: Principal) -> bool:
        """Whether somebody may register the organisation of the mandate."""
        can = any(one.covers(self._rules.domain, *_POWER) for one in principal.powers)
        return bool(principal.organization) and principal.kind == "employee" and can

    async def of(self, organization: str) -> Registration | None:
        """The registration of an organisation."""
        return await registrations.registration(self._store, organization)

    async def register(self, principal: Principal, terms: str) -> Registration:
        """Register the organisation of somebody, or accept new terms for it.

        Args:
            principal: Who is logged in.
            terms: The version that is accepted.

        Raises:
            Refused: `Code.FORBIDDEN`, without the power for it, or when it was removed; `Code.CONFLICT`, when
                other terms hold.
            Unavailable: `Code.OVERLOADED`, when too many wait.
        """
        if not self.may_register(principal):
            raise Refused(Code.FORBIDDEN, "Registering needs a mandate with the power Onboarding/Execute.")
        if terms != self.terms:
            raise Refused(Code.CONFLICT, f"The terms that hold are those of version {self.terms}.")
        now_ms = self._now_ms()
        async with self._store.transaction() as tx:
            before = await registrations.registration(tx, principal.organization)
            if before is not None and before.state == "removed":
                raise Refused(Code.FORBIDDEN, "The operator of this marketplace removed this organisation.")
            if before is None and await registrations.count_waiting(tx) >= WAITING_MAX:
                raise Unavailable(Code.OVERLOADED, "Too many organisations wait.", retry_after_s=3600.0)
            one = Registration(
                organization=principal.organization,
                name=principal.organization_name or principal.organization,
                country=principal.country,
                state="waiting" if before is None else before.state,
                registrant=principal.subject,
                registrant_name=principal.name,
                registrant_email=principal.email,
                roles=_roles(principal),
                terms=terms,
                accepted_ms=now_ms,
                registered_ms=now_ms if before is None else before.registered_ms,
                decided_ms=None if before is None else before.decided_ms,
                organization_id="" if before is None else before.organization_id,
            )
            await registrations.save(tx, one)
        self._party_roles.note(one)
        return one

    async def approve(self, organization: str) -> Registration:
        """Approve an organisation, or let one in again that was removed.

        Raises:
            Refused: `Code.NOT_FOUND`; of the entities that are made.
        """
        one = await self._registered(organization)
        if not one.organization_id:
            one = msgspec.structs.replace(one, organization_id=await self._publish(one))
        await self._endings.readmit("organization", organization)
        return await self._decided(one, "approved")

    async def remove(self, organization: str) -> Registration:
        """Remove an organisation. Its sessions and tokens have ended when this returns.

        Raises:
            Refused: `Code.NOT_FOUND`.
        """
        one = await self._registered(organization)
        await self._endings.remove("organization", organization)
        return await self._decided(one, "removed")

    async def _registered(self, organization: str) -> Registration:
        one = await self.of(organization)
        if one is None:
            raise Refused(Code.NOT_FOUND, "No such organisation has registered here.")
        return one

    async def _decided(self, one: Registration, state: registrations.RegistrationState) -> Registration:
        decided = msgspec.structs.replace(one, state=state, decided_ms=self._now_ms())
        async with self._store.transaction() as tx:
            await registrations.save(tx, decided)
        self._party_roles.note(decided)
        return decided

    def _now_ms(self) -> int:
        return epoch_ms(self._clock)


def _roles(principal: Principal) -> str:
    """What the organisation is here, by the powers of its first employee; everybody may buy."""
    sells = any(one.function == _OFFERING for one in principal.powers)
    return f"{SELLER} {BUYER}" if sells else BUYER
