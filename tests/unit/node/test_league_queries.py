"""Names in queries of the league, checked against those that there are."""

from __future__ import annotations

from tests.support.whole import Whole

EVENTS = "/league/v1/events"


async def test_names_that_no_event_and_no_type_has_are_refused_with_the_nearest(whole: Whole) -> None:
    for path, query, nearest in (
        (EVENTS, "type=productOfferingCreatedEvent", "productOfferingCreateEvent"),
        (EVENTS, "type=ProductOfferingCreateEvent", "productOfferingCreateEvent"),
        (
            f"{EVENTS}/stream",
            "type=categoryCreateEvent,productOfferingCreatedEvent",
            "productOfferingCreateEvent",
        ),
        (EVENTS, "entityType=productOffering", "ProductOffering"),
        ("/league/v1/catalogue", "type=Catergory", "Category"),
        ("/league/v1/replicas", "state=rejectd", "rejected"),
    ):
        answer = await whole.client.get(f"{path}?{query}")
        assert answer.status == 400, (path, query)
        assert nearest in answer.json()["message"]
    for query in ("type=productOfferingCreateEvent", "entityType=ProductOffering"):
        assert (await whole.client.get(f"{EVENTS}?{query}")).status == 503  # read, and no ledger here
