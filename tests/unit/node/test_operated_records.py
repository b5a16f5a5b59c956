"""The operators' pages about the audit log, entities and subscriptions at a whole marketplace."""

from __future__ import annotations

import pytest

from hansa.core.audit import read_line, read_start, verified
from hansa.core.identifiers import entity_key
from hansa.store.tables import audit, subscriptions
from hansa.store.tables.subscriptions import DeadLetter, DeliveryProgress
from tests.support.operating import OTTO, Browser, browser_of
from tests.support.whole import Whole

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
HUB = "/tmf-api/productCatalogManagement/v4/hub"
ACTED = {"act": "x", "about": "<script>alert(1)</script>", "subject": "urn:hansa:subject:ada"}


@pytest.fixture
async def operator(whole: Whole) -> Browser:
    return await browser_of(whole, OTTO)


async def recorded(whole: Whole, count: int) -> None:
    async with whole.marketplace.store.transaction() as tx:
        await audit.append_all(tx, [("acted", {**ACTED, "act": f"act-{n:03}"}) for n in range(count)])


async def test_the_audit_log_is_shown_newest_first_and_filtered(whole: Whole, operator: Browser) -> None:
    await recorded(whole, 120)
    async with whole.marketplace.store.transaction() as tx:
        await audit.append(tx, "skipped", {"codes": {"x": [[1, 2]]}})
    page = await operator.shows("/operator/audit")
    assert "Verified up to record 121 of 121." in page
    assert "<script>alert" not in page
    assert page.index("act-119") < page.index("act-118")
    assert "act-060" not in page
    assert "act-060" in await operator.shows("/operator/audit?before=72")
    of_kind = await operator.shows("/operator/audit?kind=skipped")
    assert "act-119" not in of_kind
    assert "act-007" in await operator.shows("/operator/audit?who=act-007")
    assert "No record fits here." in await operator.shows("/operator/audit?who=nobody")


async def test_a_log_that_was_changed_is_noticed(whole: Whole, operator: Browser) -> None:
    await recorded(whole, 5)
    assert "Verified up to record 5 of 5." in await operator.shows("/operator/audit")
    async with whole.marketplace.store.transaction() as tx:
        await tx.sql.execute("DROP TRIGGER audit_record_final")
        await tx.sql.execute("UPDATE audit_record SET content = ? WHERE seq = 3", (b"{}",))
    page = await operator.shows("/operator/audit")
    assert "The chain does not hold" in page
    assert "record 3" in page


async def test_an_export_is_one_that_verifies(whole: Whole, operator: Browser) -> None:
    await recorded(whole, 700)
    answer = await operator.client.get("/operator/audit/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.jsonl"'
    start, *lines = answer.body.splitlines()
    records = list(verified(map(read_line, lines), read_start(start).chain))
    assert len(records) == 700


async def test_an_entity_is_looked_up_by_identifier_and_by_key(whole: Whole, operator: Browser) -> None:
    created = await whole.client.post(OFFERINGS, {"name": "Amber", "lifecycleStatus": "In study"})
    id = str(created.json()["id"])
    answer = await operator.client.get(f"/operator/entities?q={id}")
    assert answer.headers["location"] == f"/operator/entities/{id}"
    page = await operator.shows(f"/operator/entities/{id}")
    assert "It is not public here." in page
    assert "did not answer" not in page
    listed = await operator.shows("/operator/entities?type=ProductOffering")
    did = str((await whole.client.get("/league/v1/status")).json()["did"])
    assert entity_key(did, id) in listed
    assert "Check the identifier" in await operator.shows("/operator/entities?q=urn:nothing")
    assert (await operator.client.get("/operator/entities/urn:nothing")).status == 404
    assert (await operator.client.get("/operator/entities?type=Nothing")).status == 400


async def registered(whole: Whole) -> str:
    created = await whole.client.post(HUB, {"callback": "https://listener.example/<b>", "query": ""})
    assert created.status == 201, created.body
    id = str(created.json()["id"])
    letter = DeadLetter(
        "e-1", "productOfferingCreateEvent", 1, "2026-11-30T12:00:00.000Z", 4, "listener-refused", 500
    )
    progress = DeliveryProgress(id, 1, failures=9, problem="listener-refused", is_paused=True, dead_letters_added=(letter,))  # fmt: skip
    async with whole.marketplace.store.transaction() as tx:
        await subscriptions.save(tx, [progress])
    return id


async def test_a_listener_is_resumed_and_its_dead_letters_are_sent_again(
    whole: Whole, operator: Browser
) -> None:
    id, store = await registered(whole), whole.marketplace.store
    one = f"/operator/subscriptions/{id}"
    secret = (await subscriptions.get(store, id)).secret  # type: ignore[union-attr]
    assert secret
    assert id in await operator.shows("/operator/subscriptions?state=paused")
    page = await operator.shows(one)
    assert "e-1" in page
    assert secret not in page
    assert "<b>" not in page
    assert "sent to it again" in await operator.shows(f"{one}/resend?event_id=e-1")
    await operator.sends(f"{one}/resend", {"event_id": "e-1"}, page=f"{one}/resend?event_id=e-1")
    ((letter,), _) = await subscriptions.dead_letters(store, id)
    assert letter.is_due
    await operator.sends(f"{one}/resume", {}, page=f"{one}/resume")
    assert (await subscriptions.get(store, id)).state == "active"  # type: ignore[union-attr]
    absent = await operator.sends(f"{one}/resend", {"event_id": "e-9"}, page=one)
    assert absent.status == 404
    await operator.sends(f"{one}/remove", {}, page=f"{one}/remove")
    assert (await operator.client.get(one)).status == 404
    assert "Nobody is sent events." in await operator.shows("/operator/subscriptions")
