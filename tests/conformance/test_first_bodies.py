"""The first request that clients try, API by API: a body with next to nothing, and what has to come back.

Conformance kits of APIs for which none lies beside the checkout begin like this: a create, the attributes
that its answer must have, then the entity by its identifier, in a list, and by a filter, all or some of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final, NamedTuple

import pytest
import pytest_asyncio

from hansa.business.models import load
from tests.support.business import Business, open_business

pytestmark = pytest.mark.asyncio(loop_scope="module")
PARTY: Final = [{"@referredType": "Organization", "id": "4665", "name": "A name"}]
ITEM: Final = [{"itemId": "1", "entityId": "2"}]
ALARM: Final = {
    "alarmRaisedTime": "2019-07-03T03:32:17.235Z",
    "alarmType": "environmentalAlarm",
    "perceivedSeverity": "minor",
    "probableCause": "rectifierLowVoltage",
    "sourceSystemId": "ems-1",
    "state": "raised",
}


class First(NamedTuple):
    """A create, and what its answer has beside `id` and `href`."""

    api: str
    path: str
    body: dict[str, Any]
    answered: tuple[str, ...] = ()


FIRST: Final = (
    First(
        "TMF633",
        "serviceSpecification",
        {"@type": "ResourceFacingServiceSpecification", "name": "Firewall"},
        ("@type", "isBundle", "lastUpdate", "lifecycleStatus", "name"),
    ),
    First("TMF635", "usage", {"usageSpecification": {"id": "af59"}}, ("usageSpecification",)),
    First("TMF635", "usageSpecification", {"name": "Voice"}, ("name",)),
    First("TMF642", "alarm", ALARM | {"alarmedObject": {}}, ("alarmedObject", *ALARM)),
    First("TMF642", "alarm", ALARM | {"alarmedObject": {"id": "93051825"}}, ("alarmedObject", *ALARM)),
    First("TMF646", "searchTimeSlot", {}, ("availableTimeSlot",)),
    First(
        "TMF648", "quote", {"quoteItem": [{"id": "1", "action": "add"}]}, ("quoteItem", "quoteDate", "state")
    ),
    First(
        "TMF651",
        "agreementSpecification",
        {"name": "A", "attachment": [{"id": "44", "attachmentType": "Video", "url": "http://example.com"}]},
        ("@type", "attachment", "name"),
    ),
    First(
        "TMF651",
        "agreement",
        {
            "name": "A",
            "agreementType": "commercial",
            "engagedParty": [PARTY[0] | {"role": "Supplier"}],
            "agreementItem": [{"termOrCondition": [{"id": "5890", "description": "B"}]}],
        },
        ("agreementItem", "agreementType", "engagedParty", "name"),
    ),
    First("TMF666", "billFormat", {"name": "Monthly"}, ("name",)),
    First("TMF666", "billPresentationMedia", {"name": "Monthly"}, ("name",)),
    First("TMF666", "billingCycleSpecification", {"name": "Monthly"}, ("name",)),
    First("TMF666", "financialAccount", {"name": "Administration"}, ("name",)),
    First("TMF666", "partyAccount", {"name": "Travel", "relatedParty": PARTY}, ("name", "relatedParty")),
    First("TMF666", "billingAccount", {"name": "Home", "relatedParty": PARTY}, ("name", "relatedParty")),
    First("TMF666", "settlementAccount", {"name": "Usage", "relatedParty": PARTY}, ("name", "relatedParty")),
    First("TMF668", "partnershipSpecification", {"name": "Dream"}, ("name",)),
    First(
        "TMF668",
        "partnership",
        {"name": "Dream", "specification": {"id": "9047", "href": "https://host:port/9047", "name": "A"}},
        ("name", "specification"),
    ),
    First(
        "TMF676",
        "payment",
        {
            "account": {"id": "15463151"},
            "totalAmount": {"unit": "EUR", "value": 11.6},
            "paymentMethod": {
                "id": "1",
                "href": "https://host:port/voucher/1",
                "@referredType": "Voucher",
                "@type": "PaymentMethodRef",
            },
        },
        ("account", "paymentMethod", "totalAmount"),
    ),
    First(
        "TMF679",
        "productOfferingQualification",
        {"productOfferingQualificationItem": [{"id": "1"}]},
        ("productOfferingQualificationItem", "state"),
    ),
    First("TMF680", "queryProductRecommendation", {"productOrderItem": ITEM}, ("recommendationItem",)),
    First("TMF680", "queryProductRecommendation", {"shoppingCartItem": ITEM}, ("recommendationItem",)),
    First("TMF680", "queryProductRecommendation", {"category": [{"id": "1"}]}, ("recommendationItem",)),
    First(
        "TMF683",
        "partyInteraction",
        {"channel": [{"id": "555"}], "direction": "inbounds", "reason": "TV"},
        ("channel", "direction", "reason"),
    ),
    First("TMF687", "queryProductStock", {"searchCriteria": {}}, ("queryProductStockItem",)),
    First("TMF699", "salesLead", {"name": "Campaign 17"}, ("name",)),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


@pytest.mark.parametrize("first", FIRST, ids=lambda first: f"{first.api}-{first.path}")
async def test_the_first_body_is_taken_and_completed(business: Business, first: First) -> None:
    api = next(api for api in load().apis if api.id == first.api)
    collection = f"{api.base_path}{first.path}"
    answer = await business.operator.post(collection, first.body)
    assert answer.status == 201, answer.body
    created = answer.json()
    missing = {"id", "href", *first.answered} - created.keys()
    assert not missing
    identifier = created["id"]
    for query in ("", "?fields=id", f"?id={identifier}"):
        listed = (await business.operator.get(collection + query)).json()
        assert identifier in [entity["id"] for entity in listed], query
        assert all("href" in entity for entity in listed), query
    assert (await business.operator.get(f"{collection}/{identifier}")).json() == created
