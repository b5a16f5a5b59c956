"""Organisations register, are approved, and are removed at once."""

from __future__ import annotations

import msgspec
import pytest

from hansa.core.access import AccessTarget, Action, Caller, EntityFacts, Power
from hansa.core.clock import SystemClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.identity.onboarding import Onboarding
from hansa.identity.onboarding.party_roles import PartyRoles
from hansa.identity.principal import Principal, RoleRules, caller_of
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies
from hansa.store.tables.onboarding.registrations import Registration
from tests.support.logins import ANA, BOB, OFFERING, LoggingIn

EXECUTE = Power("DOME", "Onboarding", ("Execute",))
CHIEF = msgspec.structs.replace(ANA, powers=(EXECUTE, OFFERING))
TERMS = "2026-11"


class Office:
    """Onboarding, with the sessions that it ends."""

    def __init__(self, terms: str = TERMS, before: Office | None = None) -> None:
        self.logging_in: LoggingIn = before.logging_in if before else LoggingIn()
        self.published: list[Registration] = before.published if before else []
        self.party_roles = PartyRoles(self.logging_in.store)
        self.onboarding = Onboarding(
            *(self.logging_in.store, self.logging_in.endings, self._publish, RoleRules(), terms),
            *(self.logging_in.clock, self.party_roles),
        )

    async def _publish(self, one: Registration) -> str:
        self.published.append(one)
        return f"urn:ngsi-ld:organization:{len(self.published)}"

    async def refusal(self, principal: Principal, terms: str = TERMS) -> Code:
        """Why somebody cannot register."""
        with pytest.raises(Refused) as refused:
            await self.onboarding.register(principal, terms)
        return refused.value.code


async def test_an_organisation_registers_and_waits() -> None:
    office = Office()
    one = await office.onboarding.register(CHIEF, TERMS)
    assert (one.organization, one.name, one.state) == ("VATES-12345678", "GoodAir", "waiting")
    assert (one.registrant_name, one.registrant_email) == ("Ana Prueba", "ana@goodair.example")
    assert (one.terms, one.roles) == (TERMS, "Seller Buyer")
    assert one.accepted_ms == int(office.logging_in.clock.now().timestamp() * 1000)
    assert office.published == []


async def test_who_offers_nothing_is_a_buyer() -> None:
    one = await Office().onboarding.register(msgspec.structs.replace(CHIEF, powers=(EXECUTE,)), TERMS)
    assert one.roles == "Buyer"


@pytest.mark.parametrize(
    "principal",
    [
        ANA,
        BOB,
        msgspec.structs.replace(CHIEF, kind="machine"),
        msgspec.structs.replace(CHIEF, organization=""),
        msgspec.structs.replace(CHIEF, powers=(Power("OTHER", "Onboarding", ("Execute",)),)),
        msgspec.structs.replace(CHIEF, powers=(Power("DOME", "Onboarding", ("Read",)),)),
    ],
)
async def test_registering_needs_a_mandate_for_it(principal: Principal) -> None:
    assert await Office().refusal(principal) == Code.FORBIDDEN


@pytest.mark.parametrize("terms", ["", "2025-01", "2026-11 "])
async def test_other_terms_are_not_accepted(terms: str) -> None:
    assert await Office().refusal(CHIEF, terms) == Code.CONFLICT


async def test_approving_makes_the_entities_once() -> None:
    office = Office()
    await office.onboarding.register(CHIEF, TERMS)
    first = await office.onboarding.approve("VATES-12345678")
    second = await office.onboarding.approve("VATES-12345678")
    assert (first.state, first.organization_id) == ("approved", "urn:ngsi-ld:organization:1")
    assert second.organization_id == first.organization_id
    assert len(office.published) == 1


async def test_new_terms_are_accepted_anew_without_waiting_anew() -> None:
    office = Office()
    await office.onboarding.register(CHIEF, TERMS)
    await office.onboarding.approve("VATES-12345678")
    later = Office("2027-01", office)
    assert await later.refusal(CHIEF) == Code.CONFLICT
    one = await later.onboarding.register(CHIEF, "2027-01")
    assert (one.state, one.terms) == ("approved", "2027-01")


async def test_removing_ends_sessions_at_once_and_lets_nobody_in() -> None:
    office = Office()
    cookie = await office.logging_in.login(CHIEF)
    other = await office.logging_in.login(BOB)
    await office.onboarding.register(CHIEF, TERMS)
    assert (await office.onboarding.remove("VATES-12345678")).state == "removed"
    assert office.logging_in.subject(cookie) is None
    assert office.logging_in.subject(other) == BOB.subject
    with pytest.raises(Refused):
        await office.logging_in.login(CHIEF)
    assert await office.refusal(CHIEF) == Code.FORBIDDEN


async def test_who_was_removed_can_be_let_in_again() -> None:
    office = Office()
    await office.onboarding.register(CHIEF, TERMS)
    await office.onboarding.remove("VATES-12345678")
    assert (await office.onboarding.approve("VATES-12345678")).state == "approved"
    assert office.logging_in.subject(await office.logging_in.login(CHIEF)) == CHIEF.subject


async def test_nobody_decides_about_an_organisation_that_has_not_registered() -> None:
    office = Office()
    for decide in (office.onboarding.approve, office.onboarding.remove):
        with pytest.raises(Refused) as refused:
            await decide("VATES-12345678")
        assert refused.value.code == Code.NOT_FOUND


async def test_a_flood_of_registrations_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hansa.identity.onboarding.registering.WAITING_MAX", 1)
    office = Office()
    await office.onboarding.register(CHIEF, TERMS)
    with pytest.raises(Unavailable):
        await office.onboarding.register(msgspec.structs.replace(CHIEF, organization="VATDE-1"), TERMS)
    assert (await office.onboarding.register(CHIEF, TERMS)).state == "waiting"


async def test_policies_see_the_party_roles_of_approved_organisations_alone() -> None:
    """Approved and removed at once, and after a restart."""
    office, clock = Office(), SystemClock()
    policy = (
        '@id("p") forbid (principal, action, resource) unless { principal.partyRoles.contains("Seller") };'
    )
    policies = AccessPolicies({"p.cedar": policy}, clock)
    acts = Caller("ana", organization=CHIEF.organization, powers=(OFFERING,))
    target = AccessTarget(
        "ProductOffering", "ProductOffering", False, party_attributes=("relatedParty",), is_catalogue=True
    )
    own = {"relatedParty": [{"id": f"did:elsi:{CHIEF.organization}", "role": "Owner"}]}

    def may_read(roles: PartyRoles) -> bool:
        rule = AccessRights(policies, clock, party_roles=roles.of)(acts, Action.READ, target).rule
        assert rule is not None
        return rule.refusal(EntityFacts(own, False), frozenset()) is None

    async def restarted() -> PartyRoles:
        roles = PartyRoles(office.logging_in.store)
        await roles.load()
        return roles

    steps = []
    await office.onboarding.register(CHIEF, TERMS)
    steps.append((may_read(office.party_roles), may_read(await restarted())))
    for act in (office.onboarding.approve, office.onboarding.remove, office.onboarding.approve):
        await act(CHIEF.organization)
        steps.append((may_read(office.party_roles), may_read(await restarted())))
    assert steps == [(False, False), (True, True), (False, False), (True, True)]


async def test_what_works_on_behalf_of_a_removed_organisation_ends_at_once() -> None:
    """As listeners of the hub, which ask about whom they were registered by before each event."""
    office = Office()
    endings, registrant = office.logging_in.endings, caller_of(CHIEF)
    await office.onboarding.register(CHIEF, TERMS)
    await office.onboarding.approve(CHIEF.organization)
    assert not endings.has_removed(registrant)
    await office.onboarding.remove(CHIEF.organization)
    assert endings.has_removed(registrant)
    assert not endings.has_removed(Caller("p", frozenset({"provider"})))
    await office.onboarding.approve(CHIEF.organization)
    assert not endings.has_removed(registrant)
    await endings.remove("credential", CHIEF.credential_id)
    assert endings.has_removed(registrant)
