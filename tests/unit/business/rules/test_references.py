"""References, with the outcomes found, not (yet) here and wrong type; deletion.

The list of what is not here.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from hansa.business.index_plan import index_plan
from hansa.business.models import References, load
from hansa.business.models.references import references_text
from hansa.business.rules import Deletion, Missing, Rules, UnresolvedReference, reference_paths
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.limits import Limits
from hansa.store import EntityDraft, Store

MODELS = load()
NO_REFERENCES: Final = {
    "TaxDefinition": "a value: what kind of tax",
    "TestSuiteExecution": "a resource; its document lists @referredType among what it has",
}
"""Types that look like references and are none, with the reason."""
Body = dict[str, Any]


class Desk:
    """A store and the rules over it."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock

    async def put(self, collection: str, entity_id: str, *, origin: str | None = None, **fields: Any) -> None:
        """Write an entity without asking any rule."""
        body = canonical_json({"id": entity_id, **fields})
        async with self.store.transaction() as tx:
            await tx.put(EntityDraft(entity_id, collection, body, hashlink(body), True, origin))

    async def check(
        self,
        collection: str,
        after: Body,
        before: Body | None = None,
        missing: Missing = "warn",
        **limits: int,
    ) -> tuple[UnresolvedReference, ...]:
        """Check references of a body."""
        rules = Rules(MODELS, unresolved_references=missing, limits=Limits(**limits))
        async with self.store.transaction() as tx:
            return rules.check_references(tx, MODELS.served(collection)[1], before, {"id": "own", **after})

    async def delete(self, entity_id: str, choice: Deletion = "refuse") -> None:
        """Delete an entity, when the rules let it."""
        async with self.store.transaction() as tx:
            entity = await tx.entity(entity_id)
            assert entity is not None
            rules = Rules(MODELS, referenced_deletion=choice)
            await rules.check_delete(tx, MODELS.served(entity.type)[1], entity)
            await tx.delete(entity_id)


@pytest_asyncio.fixture
async def desk() -> AsyncIterator[Desk]:
    clock = ManualClock()
    store = await Store.open(None, clock, Limits(), plan=index_plan(MODELS))
    yield Desk(store, clock)
    await store.close()


def outcomes(findings: tuple[UnresolvedReference, ...]) -> list[tuple[str, str, str]]:
    """Path, identifier and outcome of each."""
    return [(finding.path, finding.target_id, finding.outcome) for finding in findings]


# -- what refers to what ------------------------------------------------------------------------------------------


def test_every_type_of_reference_has_a_target_but_for_those_that_are_listed() -> None:
    without = {
        name
        for api in MODELS.apis
        for name in api.types
        if (name.endswith(("Ref", "RefOrValue")) or "@referredType" in api.attributes_of(name))
        and MODELS.references.target(name) is None
    }
    assert without == NO_REFERENCES.keys()


def test_every_line_about_references_is_about_a_type_of_some_api_with_that_attribute() -> None:
    told = tomllib.loads(references_text())
    types = {name: set(api.attributes_of(name)) for api in MODELS.apis for name in api.types}
    for name in (*told["to"], *told["attribute"]):
        target = MODELS.references.target(name)
        assert target is not None, name
        assert target.attribute in types[name], name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[to]\nXRef = ["Nothing"]', "Nothing is neither a type that is served nor a group"),
        ('[to]\nXRef = [":nobody"]', ":nobody is neither a type that is served nor a group"),
        ('[also]\nNothing = ["Category"]', "Nothing is neither a type that is served nor a group"),
        ('[to]\nXRef = "Category"', "Expected `array`"),
        ("[more]", "unknown field `more`"),
    ],
)
def test_lines_about_references_that_are_not_in_the_form_are_refused(text: str, reason: str) -> None:
    with pytest.raises(Fatal) as raised:
        References(text, [("Category", "Category")])
    assert reason in raised.value.message


def test_the_paths_of_references_reach_into_items_and_end() -> None:
    paths = reference_paths(MODELS)
    assert ("category", "id") in paths["ProductOffering"]
    assert ("productOrderItem", "productOffering", "id") in paths["ProductOrder"]
    assert ("productOrderItem", "product", "productSpecification", "id") in paths["ProductOrder"]
    assert ("productOrderItem", "quoteItem", "quoteId") in paths["ProductOrder"]
    assert ("channel", "id") not in paths["ProductOffering"]  # no API serves channels
    assert max(len(path) for found in paths.values() for path in found) == 4
    assert max(map(len, paths.values())) < 50
    assert all(len(set(found)) == len(found) for found in paths.values())


# -- the outcomes -------------------------------------------------------------------------------------------------


async def test_what_is_here_and_of_the_right_type_is_found(desk: Desk) -> None:
    await desk.put("Category", "c")
    await desk.put("Individual", "i", origin="did:example:riga")
    body = {"category": [{"id": "c"}], "relatedParty": [{"id": "i", "@referredType": "Individual"}]}
    assert await desk.check("ProductOffering", body, missing="refuse") == ()


async def test_what_is_not_here_yet_is_told(desk: Desk) -> None:
    await desk.put("Category", "c")
    body = {"category": [{"id": "c"}, {"id": "later"}], "productSpecification": {"id": "far"}}
    found = await desk.check("ProductOffering", body)
    assert outcomes(found) == [
        ("category[1].id", "later", "missing"),
        ("productSpecification.id", "far", "missing"),
    ]
    assert found[0].targets == ("Category",)


async def test_what_is_not_here_is_refused_when_the_operator_chose_so(desk: Desk) -> None:
    with pytest.raises(Refused) as raised:
        await desk.check("ProductOffering", {"category": [{"id": "later"}]}, missing="refuse")
    assert raised.value.code is Code.REFERENCE_UNRESOLVED
    assert raised.value.http_status == 409
    assert raised.value.message == "category[0].id: no Category 'later' is here."


async def test_what_is_here_and_can_never_be_meant_is_refused(desk: Desk) -> None:
    await desk.put("Individual", "i")
    with pytest.raises(Refused) as raised:
        await desk.check("ProductOffering", {"category": [{"id": "i"}]})
    assert raised.value.code is Code.REFERENCE_WRONG_TYPE
    assert raised.value.http_status == 400
    assert raised.value.message == "category[0].id: 'i' is of type Individual, not Category."


@pytest.mark.parametrize(
    ("here", "collection", "body", "is_right"),
    [
        ("Organization", "ProductOffering", {"relatedParty": [{"id": "x"}]}, True),
        ("Customer", "ProductOrder", {"relatedParty": [{"id": "x", "@referredType": "Customer"}]}, True),
        (
            "Organization",
            "ProductOrder",
            {"relatedParty": [{"id": "x", "@referredType": "Individual"}]},
            False,
        ),
        ("Category", "ProductOrder", {"relatedParty": [{"id": "x"}]}, False),
        # An extension's type says what it is, and no model what it derives from.
        ("Category", "ProductOrder", {"relatedParty": [{"id": "x", "@referredType": "Broker"}]}, True),
        # The same type in several APIs, and types that extend another.
        ("TMF640Service", "Product", {"realizingService": [{"id": "x"}]}, True),
        ("AiModel", "Product", {"realizingService": [{"id": "x"}]}, True),
        ("IotDevice", "Product", {"realizingResource": [{"id": "x"}]}, True),
        ("Resource", "Product", {"realizingService": [{"id": "x"}]}, False),
        # To anything, unless it says to what.
        ("Quote", "TroubleTicket", {"relatedEntity": [{"id": "x"}]}, True),
        ("Quote", "TroubleTicket", {"relatedEntity": [{"id": "x", "@referredType": "Quote"}]}, True),
        ("Quote", "TroubleTicket", {"relatedEntity": [{"id": "x", "@referredType": "Product"}]}, False),
        # By another attribute than `id`.
        ("Quote", "ProductOrder", {"productOrderItem": [{"quoteItem": {"id": "1", "quoteId": "x"}}]}, True),
        (
            "Category",
            "ProductOrder",
            {"productOrderItem": [{"quoteItem": {"id": "1", "quoteId": "x"}}]},
            False,
        ),
        # Nothing that is served: nothing to say.
        ("Category", "ProductOffering", {"channel": [{"id": "x"}]}, True),
        # Itself.
        ("Product", "Category", {"subCategory": [{"id": "own"}]}, True),
    ],
)
async def test_the_type_of_a_reference_and_what_it_says_of_itself_decide_what_is_right(
    desk: Desk, here: str, collection: str, body: Body, is_right: bool
) -> None:
    await desk.put(here, "x")
    if is_right:
        assert await desk.check(collection, body) == ()
    else:
        with pytest.raises(Refused) as raised:
            await desk.check(collection, body)
        assert raised.value.code is Code.REFERENCE_WRONG_TYPE


@pytest.mark.parametrize(
    ("product", "is_reference"),
    [
        ({"id": "p"}, True),
        ({"id": "p", "name": "Router", "@type": "Product"}, True),
        ({"id": "p", "href": "https://market.example/product/p", "productSerialNumber": "1"}, True),
        ({"id": "p", "@referredType": "Product", "productSerialNumber": "1"}, True),
        ({"id": "p", "productSerialNumber": "1"}, False),
        ({"productSerialNumber": "1"}, False),
        ({"id": ""}, False),
    ],
)
async def test_a_value_with_an_identifier_refers_to_nothing(
    desk: Desk, product: Body, is_reference: bool
) -> None:
    found = await desk.check("ProductOrder", {"productOrderItem": [{"id": "1", "product": product}]})
    expected = [("productOrderItem[0].product.id", "p", "missing")]
    assert outcomes(found) == (expected if is_reference else [])


async def test_a_value_says_itself_whether_it_is_a_reference_where_the_document_lets_it(desk: Desk) -> None:
    for is_reference in (True, False):
        formats = {"billStructure": {"format": {"id": "f", "isRef": is_reference}}}
        assert len(await desk.check("BillingAccount", formats)) == is_reference


async def test_references_within_a_value_are_checked(desk: Desk) -> None:
    product = {"productSerialNumber": "1", "productOffering": {"id": "o"}}
    found = await desk.check("ProductOrder", {"productOrderItem": [{"id": "1", "product": product}]})
    assert outcomes(found) == [("productOrderItem[0].product.productOffering.id", "o", "missing")]


async def test_only_what_a_write_adds_is_checked(desk: Desk) -> None:
    await desk.put("Individual", "wrong by now")
    before = {"name": "a", "category": [{"id": "wrong by now"}, {"id": "gone"}]}
    assert await desk.check("ProductOffering", {**before, "name": "b"}, before, "refuse") == ()
    moved = {"category": [{"id": "gone"}, {"id": "wrong by now"}]}
    assert await desk.check("ProductOffering", moved, before, "refuse") == ()
    more = {"category": [*before["category"], {"id": "new"}]}
    assert outcomes(await desk.check("ProductOffering", more, before)) == [
        ("category[2].id", "new", "missing")
    ]


async def test_a_write_adds_a_bounded_number_of_references(desk: Desk) -> None:
    body = {"category": [{"id": str(n)} for n in range(4)]}
    assert len(await desk.check("ProductOffering", body, references_max=4)) == 4
    with pytest.raises(Refused) as raised:
        await desk.check("ProductOffering", body, references_max=3)
    assert raised.value.code is Code.INVALID


async def test_more_references_than_one_question_to_the_store_asks_about_are_all_checked(desk: Desk) -> None:
    await desk.put("Category", "1200")
    body = {"category": [{"id": str(n)} for n in range(1300)]}
    found = await desk.check("ProductOffering", body)
    assert len(found) == 1299
    with pytest.raises(Refused, match="and 1289 more"):
        await desk.check("ProductOffering", body, missing="refuse")


# -- deletion -----------------------------------------------------------------------------------------------------


async def test_what_an_entity_of_this_marketplace_refers_to_is_not_deleted(desk: Desk) -> None:
    await desk.put("Category", "c")
    await desk.put("ProductOffering", "o", category=[{"id": "c"}])
    with pytest.raises(Refused) as raised:
        await desk.delete("c")
    assert raised.value.code is Code.STILL_REFERENCED
    assert raised.value.http_status == 409
    assert raised.value.message == "'c' is referred to by ProductOffering 'o'; change or delete these first."
    await desk.delete("o")
    await desk.delete("c")


async def test_a_few_of_those_that_refer_are_named(desk: Desk) -> None:
    await desk.put("Organization", "p")
    for n in range(7):
        await desk.put("ProductOrder", f"o{n}", relatedParty=[{"id": "p"}])
    with pytest.raises(Refused, match="'o4' and others; change"):
        await desk.delete("p")


async def test_items_refer_too(desk: Desk) -> None:
    await desk.put("ProductOffering", "o")
    item = {"id": "1", "product": {"productSerialNumber": "1", "productOffering": {"id": "o"}}}
    await desk.put("ProductOrder", "order", productOrderItem=[item])
    with pytest.raises(Refused, match="ProductOrder 'order'"):
        await desk.delete("o")


@pytest.mark.parametrize(
    ("collection", "fields"),
    [
        ("ProductOffering", {"origin": "did:example:riga", "category": [{"id": "c"}]}),  # a replica
        ("ProductOffering", {"channel": [{"id": "c"}]}),  # to something else of that name
        ("ProductOffering", {"description": "c"}),
        ("BillingAccount", {"billStructure": {"format": {"id": "c", "isRef": False}}}),  # a value
        (
            "ProductOffering",
            {"category": [{"id": "c"}], "lifecycleStatus": "Obsolete"},
        ),  # nothing comes of it
    ],
)
async def test_what_is_no_reference_from_here_does_not_stand_in_the_way(
    desk: Desk, collection: str, fields: Body
) -> None:
    await desk.put("Category", "c", subCategory=[{"id": "c"}])
    await desk.put(collection, "other", **fields)
    await desk.delete("c")


async def test_a_task_does_not_keep_what_it_was_about(desk: Desk) -> None:
    await desk.put("ProductOrder", "order", state="acknowledged")
    await desk.put("CancelProductOrder", "task", state="inProgress", productOrder={"id": "order"})
    await desk.delete("order")


async def test_where_very_many_refer_nobody_asks_whether_it_matters(desk: Desk) -> None:
    await desk.put("Organization", "p")
    async with desk.store.transaction() as tx:
        for n in range(500):
            body = canonical_json({"id": f"o{n}", "state": "completed", "relatedParty": [{"id": "p"}]})
            await tx.put(EntityDraft(f"o{n}", "ProductOrder", body, hashlink(body), False))
    with pytest.raises(Refused, match="by 500 entities or more"):
        await desk.delete("p")
    await desk.delete("o0")
    await desk.delete("p")


async def test_the_operator_may_choose_loose_ends(desk: Desk) -> None:
    await desk.put("Category", "c")
    await desk.put("ProductOffering", "o", category=[{"id": "c"}])
    await desk.delete("c", "warn")
    (end,) = await Rules(MODELS).dangling_references(desk.store, desk.clock, 10)
    assert (end.type, end.id, end.path, end.target) == ("ProductOffering", "o", "category[0].id", "c")


# -- the list of what is not here ---------------------------------------------------------------------------------


async def test_references_to_what_is_not_here_are_listed_until_it_comes(desk: Desk) -> None:
    await desk.put("Category", "c")
    await desk.put("ProductOffering", "o", category=[{"id": "c"}, {"id": "later"}])
    await desk.put("ProductOffering", "r", origin="did:example:riga", productSpecification={"id": "far"})
    item = {"id": "1", "product": {"id": "a value", "productSerialNumber": "1"}}
    await desk.put("ProductOrder", "order", productOrderItem=[item])
    rules = Rules(MODELS)
    found = await rules.dangling_references(desk.store, desk.clock, 10)
    assert [(end.id, end.origin, end.path, end.target, end.targets) for end in found] == [
        ("o", None, "category[1].id", "later", ("Category",)),
        ("r", "did:example:riga", "productSpecification.id", "far", ("ProductSpecification",)),
    ]
    assert len(await rules.dangling_references(desk.store, desk.clock, 1)) == 1
    await desk.put("Category", "later")
    await desk.put("ProductSpecification", "far")
    assert await rules.dangling_references(desk.store, desk.clock, 10) == ()


async def test_the_list_goes_through_more_than_one_part_of_the_index(desk: Desk) -> None:
    async with desk.store.transaction() as tx:
        for n in range(1200):
            body = canonical_json({"id": f"o{n}", "category": [{"id": f"c{n}" if n % 100 == 7 else "o0"}]})
            await tx.put(EntityDraft(f"o{n}", "ProductOffering", body, hashlink(body), True))
    found = await Rules(MODELS).dangling_references(desk.store, desk.clock, 1000)
    assert {end.id for end in found} == {f"o{n}" for n in range(7, 1200, 100)}
