"""The operators' pages about the marketplace, with recorded content."""

from __future__ import annotations

import msgspec
from starlette.routing import BaseRoute

from hansa.core.access import Caller
from hansa.core.errors import Code, Refused
from hansa.identity.issuing import MandateOrder
from hansa.portal import Frame
from hansa.portal.frame.acts import Act
from hansa.portal.frame.people import People
from hansa.portal.operators.marketplace import Acting
from hansa.portal.operators.marketplace.issuing import CredentialRow, IssuingPages, MadeOffer, OfferRow
from hansa.portal.operators.marketplace.organizations import (
    ExcludedParty,
    OrganizationPages,
    RegisteredOrganization,
)
from hansa.portal.operators.marketplace.policies import (
    Example,
    LoggedDecision,
    PolicyAnswer,
    PolicyGroup,
    PolicyInForce,
    PolicyPages,
    PolicyQuestion,
    PolicyShown,
)
from tests.support.hostile_entities import HOSTILE

WHEN = "2026-11-28T10:00:00.000Z"
GOODAIR = RegisteredOrganization(
    organization="VATES-12345678",
    name="GoodAir",
    country="ES",
    state="waiting",
    registrant="urn:hansa:subject:ana",
    registrant_name="Ana Prueba",
    registrant_email="ana@goodair.example",
    roles=("Seller", "Buyer"),
    terms="2026-10",
    accepted=WHEN,
    registered=WHEN,
    decided=WHEN,
    entity_id="urn:ngsi-ld:organization:goodair",
)
CREDENTIALS = tuple(
    CredentialRow(
        *(f"urn:uuid:{status}", "eu.europa.ec.eudi.lce.1_dc+sd-jwt", "VATES-12345678", "GoodAir"),
        *(holder, "bea@goodair.example", status, WHEN, WHEN),
    )
    for status, holder in (("valid", "Bea Prueba"), ("suspended", HOSTILE[0]), ("revoked", "Carl"))
)


class RecordedActs:
    """Remembers nothing."""

    async def note(self, caller: Caller, act: Act, code: str | None = None) -> None:
        """Nothing."""


class RecordedOrganizations:
    """Some in each state."""

    terms = "2026-11"

    async def registered(self, state: str, limit: int, offset: int) -> tuple[RegisteredOrganization, ...]:
        others = (("VATDE-7", "Nordlicht", "removed"), ("VATFR-1", HOSTILE[0], "approved"))
        return (
            GOODAIR,
            *(
                msgspec.structs.replace(GOODAIR, organization=one, name=name, state=its)
                for one, name, its in others
            ),
        )

    async def one(self, organization: str) -> RegisteredOrganization | None:
        return GOODAIR

    async def credentials(self, organization: str) -> tuple[CredentialRow, ...]:
        return CREDENTIALS

    async def approve(self, organization: str) -> None:
        """Nothing, as the following."""

    async def remove(self, organization: str) -> None:
        """Nothing."""

    def excluded(self) -> tuple[ExcludedParty, ...]:
        subject = "urn:hansa:subject:0123456789abcdef0123456789abcdef0123456789a"
        return tuple(
            ExcludedParty(kind, name, WHEN)
            for kind, name in (("subject", subject), ("organization", "VATDE-7"), ("credential", HOSTILE[0]))
        )

    async def exclude(self, kind: str, name: str) -> None:
        """Nothing."""

    async def readmit(self, kind: str, name: str) -> None:
        """Nothing."""


class RecordedIssuing:
    """Is on."""

    is_on = True

    async def offers(self) -> tuple[OfferRow, ...]:
        return (OfferRow("1", HOSTILE[0], "VATES-12345678", True, WHEN),)

    async def issued(self, limit: int, offset: int) -> tuple[CredentialRow, ...]:
        return CREDENTIALS

    async def offer(self, order: MandateOrder) -> MadeOffer:
        return MadeOffer("1", "openid-credential-offer://?credential_offer_uri=x", "123456", WHEN)

    async def withdraw(self, id: str) -> None:
        """Nothing, as the following."""

    async def set_status(self, id: str, status: str) -> None:
        """Nothing."""


class RecordedPolicies:
    """With a fault, a refusal and a log."""

    def access(self) -> PolicyGroup:
        policies = (
            PolicyInForce("default.cedar#public-is-read-by-everyone", "permit"),
            PolicyInForce(f"own.cedar#{HOSTILE[0]}", "forbid"),
        )
        return PolicyGroup(("own.cedar",), WHEN, "own.cedar: line 3: unexpected token", policies)

    def distribution(self) -> PolicyGroup:
        return PolicyGroup((), WHEN, None, ())

    async def decide(self, question: PolicyQuestion) -> PolicyAnswer:
        if question.entity_id == "absent":
            raise Refused(Code.NOT_FOUND, f"There is no entity {HOSTILE[0]}.")
        policies = (
            PolicyShown("default.cedar#parties-read", "permit", False, None),
            PolicyShown("own.cedar#no-one", "forbid", True, None),
            PolicyShown("own.cedar#odd", "forbid", False, "overflow"),
        )
        return PolicyAnswer(False, "forbidden", "The access policy no-one forbids it.", policies, "Category")

    def examples(self) -> tuple[Example, ...]:
        return (Example("VATES-12345678", ("DOME/ProductOffering/Create",)), Example("", ()))

    async def decisions(self, organization: str, limit: int, offset: int) -> tuple[LoggedDecision, ...]:
        return (
            LoggedDecision(
                WHEN, "0123456789abcdef", HOSTILE[0], None, "create", "Category", False, "forbidden", ("a.cedar#b",)
            ),
            LoggedDecision(WHEN, dropped=7),
        )  # fmt: skip


def operating_routes(frame: Frame, people: People, places: tuple[str, ...]) -> list[BaseRoute]:
    """All of them."""
    acting = Acting(frame, people, RecordedActs(), places)
    return [
        *IssuingPages(acting, RecordedIssuing()).routes(),
        *OrganizationPages(acting, RecordedOrganizations()).routes(),
        *PolicyPages(acting, RecordedPolicies()).routes(),
    ]
