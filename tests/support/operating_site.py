"""The operators' pages about the marketplace, with recorded content."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from starlette.routing import BaseRoute

from hansa.core.errors import Code, Refused
from hansa.identity.issuing import MandateOrder
from hansa.portal import Frame
from hansa.portal.catalogue.origins import AnnouncedVersion
from hansa.portal.frame.people import People
from hansa.portal.operators import OperatorFrame
from hansa.portal.operators.marketplace.audit import AuditPages, AuditRecords, AuditRow, ChainState
from hansa.portal.operators.marketplace.entities import (
    CollectionCount,
    EntityKeyRow,
    EntityPages,
    EntityView,
    PublicationView,
    ReplicaView,
)
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
from hansa.portal.operators.marketplace.running import (
    AnsweredRow,
    CacheRow,
    CallerRow,
    FileSize,
    HealthState,
    JobRow,
    RefusalRow,
    RunningPages,
    StorageState,
    StoredType,
    TaskRow,
    UnindexedPlace,
)
from hansa.portal.operators.marketplace.settings import ClientRow, KeyRow, SettingRow, SettingsPages
from hansa.portal.operators.marketplace.subscriptions import (
    DeadLetterRow,
    ListenerRow,
    SubscriptionPages,
    TestResult,
)
from tests.support.acts import RecordedActs
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


class RecordedAudit:
    """With records of some kinds."""

    async def page(self, kind: str, who: str, before: int) -> AuditRecords:
        content = (
            ("act", "organization-remove"),
            ("about", HOSTILE[0]),
            ("subject", "urn:hansa:subject:otto"),
        )
        records = tuple(AuditRow(n, WHEN, "acted", content) for n in (12, 11))
        return AuditRecords(records, 11)

    async def chain(self) -> ChainState:
        return ChainState(1, 12, 12, None, 10, WHEN)

    async def export(self) -> AsyncIterator[bytes]:
        yield b"{}"


ENTITY = EntityView(
    name="urn:ngsi-ld:product-offering:2b835c8a-e0bf-58e1-9a57-606ccf72e75e",
    is_here=True,
    type="ProductOffering",
    origin="riga",
    is_public=True,
    revision=3,
    hashlink="hl:zQmSUqcJ1hMi7Tgj7kqDh9ZVvH5XjXzGqNrKqZ4Z4Z4Z4Z4",
    keys=(("lubeck", "0" * 64), ("riga", "1" * 64)),
    publication=PublicationView(
        2, 7, 812, False, True, False, "ledger-refused", HOSTILE[0], "bergen", f"publish.cedar#x: {HOSTILE[0]}"
    ),
    replicas=tuple(
        ReplicaView("riga", state, 3, 812, 2, 4, "retrieval-timeout", HOSTILE[0])
        for state in ("stored", "pending", "deferred", "skipped", "rejected", "deleted")
    ),
    history=(AnnouncedVersion(3, "productOfferingCreateEvent", 812, 40, WHEN, "Launched"),),
    receipt="/league/v1/entities/x/receipt?latest=true",
)  # fmt: skip


class RecordedEntities:
    """One."""

    async def collections(self) -> tuple[CollectionCount, ...]:
        return (CollectionCount("Category", 15), CollectionCount("ProductOffering", 45))

    async def page(self, type: str, limit: int, offset: int) -> tuple[EntityKeyRow, ...]:
        return (
            EntityKeyRow(ENTITY.name, "0" * 64, "", False),
            EntityKeyRow(HOSTILE[0], "1" * 64, "riga", True),
        )

    async def is_known(self, name: str) -> bool:
        return name != "absent"

    async def one(self, name: str) -> EntityView | None:
        return ENTITY if await self.is_known(name) else None


LISTENER = ListenerRow(
    id="1",
    api="league",
    callback=f"https://listener.example/{HOSTILE[0]}",
    query="type=x",
    subscriber="urn:hansa:subject:ana",
    state="failing",
    delivered=1234,
    dead_letters=3,
    dropped=2,
    failures=5,
    failing_since=WHEN,
    problem="listener-refused",
    answered=500,
)


class RecordedListeners:
    """In each state."""

    async def page(self, state: str, limit: int, offset: int) -> tuple[tuple[ListenerRow, ...], int]:
        rows = [msgspec.structs.replace(LISTENER, state=one) for one in ("active", "failing", "paused")]
        return (*rows, msgspec.structs.replace(LISTENER, api="TMF620", callback="https://a.example")), 4

    async def one(self, id: str) -> ListenerRow | None:
        return msgspec.structs.replace(LISTENER, state="paused")

    async def dead_letters(self, id: str, limit: int, offset: int) -> tuple[tuple[DeadLetterRow, ...], int]:
        letter = DeadLetterRow("e1", "productOfferingCreateEvent", WHEN, 4, "listener-refused", 410, False)
        return (letter, msgspec.structs.replace(letter, event_id=HOSTILE[0], is_due=True)), 2

    async def resend(self, id: str, event_id: str) -> None:
        """Nothing, as the following."""

    async def resume(self, id: str) -> None:
        """Nothing."""

    async def remove(self, id: str) -> None:
        """Nothing."""

    async def test(self, id: str) -> TestResult:
        return TestResult("listener-refused", 500)


class RecordedSettings:
    """Some of each source."""

    def settings(self) -> tuple[SettingRow, ...]:
        meaning = "What it is called, for people."
        return (
            SettingRow("name", f'"{HOSTILE[0]}"', "", "file", "HANSA_NAME", meaning),
            SettingRow("issuing", "true", "false", "environment", "HANSA_ISSUING", meaning),
            SettingRow("list_limit_max", "1000", "1000", "default", "HANSA_LIST_LIMIT_MAX", meaning),
        )

    async def clients(self) -> tuple[ClientRow, ...]:
        return (ClientRow("shop", HOSTILE[0], ("https://shop.example/back",), (), ("openid", "read"), True),)

    async def keys(self) -> tuple[KeyRow, ...]:
        return (KeyRow("member.jwk", WHEN),)

    def key_ids(self) -> tuple[str, ...]:
        return ("key-1",)


class RecordedRunning:
    """A marketplace with much to show."""

    async def storage(self) -> StorageState:
        return StorageState(
            (FileSize("store.db", 12_345_678), FileSize("ledger", 99)),
            *(5_000_000_000, (StoredType("ProductOffering", 11, 34),)),
            *((UnindexedPlace("ProductOffering", "version", 7),), ("ProductOffering.name",)),
        )

    async def jobs(self) -> tuple[JobRow, ...]:
        return (JobRow("urn:x:1", "ImportJob", "TMF620", "Running", WHEN, 10, 2, (HOSTILE[0],)),)

    def tasks(self) -> tuple[TaskRow, ...]:
        return (TaskRow("publisher", True, 0, None), TaskRow("hub", False, 3, "OSError"))

    async def health(self) -> HealthState:
        return HealthState(
            status="degraded",
            conditions=(("no-block", "No block came for 20 s."),),
            uptime_s=60.0,
            in_flight=1,
            connections=2,
            answered=(AnsweredRow("business", "2xx", 100, 1.5), AnsweredRow("other", "4xx", 1, 2.5)),
            refused=(RefusalRow("work-of-caller", 4),),
            caches=(CacheRow("docs_pages", 1, 3, 1, 75.0), CacheRow("shown_events", 0, 0, 0, None)),
            callers=(
                CallerRow("stranger", "192.0.2.0/24", 3, 1, 40.0),
                CallerRow("operator", "urn:hansa:subject:otto", 1, 0, None),
            ),
            callers_total=2,
        )


def operating_routes(frame: Frame, people: People, places: tuple[str, ...]) -> list[BaseRoute]:
    """All of them."""
    shared = OperatorFrame(frame, people, RecordedActs(), places)
    return [
        *IssuingPages(shared, RecordedIssuing()).routes(),
        *OrganizationPages(shared, RecordedOrganizations()).routes(),
        *PolicyPages(shared, RecordedPolicies()).routes(),
        *AuditPages(shared, RecordedAudit()).routes(),
        *EntityPages(shared, RecordedEntities()).routes(),
        *SubscriptionPages(shared, RecordedListeners()).routes(),
        *SettingsPages(shared, RecordedSettings()).routes(),
        *RunningPages(shared, RecordedRunning()).routes(),
    ]
