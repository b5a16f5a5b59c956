"""References: resolved, missing or of a wrong type; deletion; the list of dangling references."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from hansa.business.index_plan import index_plan
from hansa.business.models import References, load
from hansa.business.models.references import references_text
from hansa.business.rules import Rules, UnresolvedReference, reference_paths
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.limits import Limits
from hansa.core.policies import DeletionPolicy, UnresolvedPolicy
from hansa.store import EntityDraft, Store
from hansa.store.sqlite.store import SqliteStore

MODELS = load()
NO_REFERENCES: Final = {
    "TaxDefinition": "a value: what kind of tax",
    "TestSuiteExecution": "a resource; its document lists @referredType among what it has",
}
"""Types that look like references and are none, with the reason."""
Body = dict[str, Any]


class Bench:
    """A store and the rules over it."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock

    async def put(self, collection: str, entity_id: str, *, origin: str | None = None, **fields: Any) -> None:
        """Write an entity without checking any rule."""
        body = canonical_json({"id": entity_id, **fields})
        async with self.store.transaction() as tx:
            await tx.put(EntityDraft(entity_id, collection, body, hashlink(body), True, origin))

    async def check(
        self,
        collection: str,
        after: Body,
        before: Body | None = None,
        missing: UnresolvedPolicy = "warn",
        **limits: int,
    ) -> tuple[UnresolvedReference, ...]:
        """Check references of a body."""
        rules = Rules(MODELS, unresolved_references=missing, limits=Limits(**limits))
        async with self.store.transaction() as tx:
            return await rules.check_references(
                tx, MODELS.served(collection)[1], before, {"id": "own", **after}
            )

    async def delete(self, entity_id: str, policy: DeletionPolicy = "refuse") -> None:
        """Delete an entity, when the rules let it."""
        async with self.store.transaction() as tx:
            entity = await tx.entity(entity_id)
            assert entity is not None
            rules = Rules(MODELS, referenced_deletion=policy)
            await rules.check_delete(tx, MODELS.served(entity.type)[1], entity)
            await tx.delete(entity_id)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    clock = ManualClock()
    store = await SqliteStore.open(None, clock, Limits(), plan=index_plan(MODELS))
    yield Bench(store, clock)
    await store.close()


def outcomes(unresolved: tuple[UnresolvedReference, ...]) -> list[tuple[str, str, str]]:
    """Path, identifier and outcome of each."""
    return [(one.path, one.target_id, one.outcome) for one in unresolved]


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
    form = tomllib.loads(references_text())
    types = {name: set(api.attributes_of(name)) for api in MODELS.apis for name in api.types}
    for name in (*form["to"], *form["attribute"]):
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
    assert max(len(path) for many in paths.values() for path in many) == 4
    assert max(map(len, paths.values())) < 50
    assert all(len(set(many)) == len(many) for many in paths.values())


# -- the outcomes -------------------------------------------------------------------------------------------------


async def test_a_reference_to_an_entity_of_the_right_type_is_resolved(bench: Bench) -> None:
    await bench.put("Category", "c")
    await bench.put("Individual", "i", origin="did:example:riga")
    body = {"category": [{"id": "c"}], "relatedParty": [{"id": "i", "@referredType": "Individual"}]}
    assert await bench.check("ProductOffering", body, missing="refuse") == ()


async def test_a_reference_to_an_entity_that_is_missing_is_reported(bench: Bench) -> None:
    await bench.put("Category", "c")
    body = {"category": [{"id": "c"}, {"id": "later"}], "productSpecification": {"id": "far"}}
    unresolved = await bench.check("ProductOffering", body)
    assert outcomes(unresolved) == [
        ("category[1].id", "later", "missing"),
        ("productSpecification.id", "far", "missing"),
    ]
    assert unresolved[0].targets == ("Category",)


async def test_what_is_not_here_is_refused_when_the_operator_chose_so(bench: Bench) -> None:
    with pytest.raises(Refused) as raised:
        await bench.check("ProductOffering", {"category": [{"id": "later"}]}, missing="refuse")
    assert raised.value.code is Code.REFERENCE_UNRESOLVED
    assert raised.value.http_status == 409
    assert raised.value.message == "category[0].id: there is no Category 'later' here."


async def test_what_is_here_and_can_never_be_meant_is_refused(bench: Bench) -> None:
    await bench.put("Individual", "i")
    with pytest.raises(Refused) as raised:
        await bench.check("ProductOffering", {"category": [{"id": "i"}]})
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
    bench: Bench, here: str, collection: str, body: Body, is_right: bool
) -> None:
    await bench.put(here, "x")
    if is_right:
        assert await bench.check(collection, body) == ()
    else:
        with pytest.raises(Refused) as raised:
            await bench.check(collection, body)
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
    bench: Bench, product: Body, is_reference: bool
) -> None:
    unresolved = await bench.check("ProductOrder", {"productOrderItem": [{"id": "1", "product": product}]})
    expected = [("productOrderItem[0].product.id", "p", "missing")]
    assert outcomes(unresolved) == (expected if is_reference else [])


async def test_a_value_says_itself_whether_it_is_a_reference_where_the_document_lets_it(bench: Bench) -> None:
    for is_reference in (True, False):
        formats = {"billStructure": {"format": {"id": "f", "isRef": is_reference}}}
        assert len(await bench.check("BillingAccount", formats)) == is_reference


async def test_references_within_a_value_are_checked(bench: Bench) -> None:
    product = {"productSerialNumber": "1", "productOffering": {"id": "o"}}
    unresolved = await bench.check("ProductOrder", {"productOrderItem": [{"id": "1", "product": product}]})
    assert outcomes(unresolved) == [("productOrderItem[0].product.productOffering.id", "o", "missing")]


async def test_only_what_a_write_adds_is_checked(bench: Bench) -> None:
    await bench.put("Individual", "wrong by now")
    before = {"name": "a", "category": [{"id": "wrong by now"}, {"id": "gone"}]}
    assert await bench.check("ProductOffering", {**before, "name": "b"}, before, "refuse") == ()
    moved = {"category": [{"id": "gone"}, {"id": "wrong by now"}]}
    assert await bench.check("ProductOffering", moved, before, "refuse") == ()
    more = {"category": [*before["category"], {"id": "new"}]}
    assert outcomes(await bench.check("ProductOffering", more, before)) == [
        ("category[2].id", "new", "missing")
    ]


async def test_a_write_adds_a_bounded_number_of_references(bench: Bench) -> None:
    body = {"category": [{"id": str(n)} for n in range(4)]}
    assert len(await bench.check("ProductOffering", body, references_max=4)) == 4
    with pytest.raises(Refused) as raised:
        await bench.check("ProductOffering", body, references_max=3)
    assert raised.value.code is Code.INVALID


async def test_more_references_than_one_question_to_the_store_asks_about_are_all_checked(
    bench: Bench,
) -> None:
    await bench.put("Category", "1200")
    body = {"category": [{"id": str(n)} for n in range(1300)]}
    unresolved = await bench.check("ProductOffering", body)
    assert len(unresolved) == 1299
    with pytest.raises(Refused, match="and 1289 more"):
        await bench.check("ProductOffering", body, missing="refuse")


# -- deletion -----------------------------------------------------------------------------------------------------


async def test_what_an_entity_of_this_marketplace_refers_to_is_not_deleted(bench: Bench) -> None:
    await bench.put("Category", "c")
    await bench.put("ProductOffering", "o", category=[{"id": "c"}])
    with pytest.raises(Refused) as raised:
        await bench.delete("c")
    assert raised.value.code is Code.STILL_REFERENCED
    assert raised.value.http_status == 409
    assert raised.value.message == "'c' is referred to by ProductOffering 'o'; change or delete these first."
    await bench.delete("o")
    await bench.delete("c")


async def test_a_few_of_those_that_refer_are_named(bench: Bench) -> None:
    await bench.put("Organization", "p")
    for n in range(7):
        await bench.put("ProductOrder", f"o{n}", relatedParty=[{"id": "p"}])
    with pytest.raises(Refused, match="'o4' and others; change"):
        await bench.delete("p")


async def test_items_refer_too(bench: Bench) -> None:
    await bench.put("ProductOffering", "o")
    item = {"id": "1", "product": {"productSerialNumber": "1", "productOffering": {"id": "o"}}}
    await bench.put("ProductOrder", "order", productOrderItem=[item])
    with pytest.raises(Refused, match="ProductOrder 'order'"):
        await bench.delete("o")


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
    bench: Bench, collection: str, fields: Body
) -> None:
    await bench.put("Category", "c", subCategory=[{"id": "c"}])
    await bench.put(collection, "other", **fields)
    await bench.delete("c")


async def test_a_task_does_not_keep_what_it_was_about(bench: Bench) -> None:
    await bench.put("ProductOrder", "order", state="acknowledged")
    await bench.put("CancelProductOrder", "task", state="inProgress", productOrder={"id": "order"})
    await bench.delete("order")


async def test_where_very_many_refer_nobody_asks_whether_it_matters(bench: Bench) -> None:
    await bench.put("Organization", "p")
    async with bench.store.transaction() as tx:
        for n in range(500):
            body = canonical_json({"id": f"o{n}", "state": "completed", "relatedParty": [{"id": "p"}]})
            await tx.put(EntityDraft(f"o{n}", "ProductOrder", body, hashlink(body), False))
    with pytest.raises(Refused, match="by 500 entities or more"):
        await bench.delete("p")
    await bench.delete("o0")
    await bench.delete("p")


async def test_the_operator_may_choose_dangling_references(bench: Bench) -> None:
    await bench.put("Category", "c")
    await bench.put("ProductOffering", "o", category=[{"id": "c"}])
    await bench.delete("c", "warn")
    (end,) = await Rules(MODELS).dangling_references(bench.store, 10)
    assert (end.type, end.id, end.path, end.target) == ("ProductOffering", "o", "category[0].id", "c")


# -- the list of what is not here ---------------------------------------------------------------------------------


async def test_references_to_what_is_not_here_are_listed_until_it_comes(bench: Bench) -> None:
    await bench.put("Category", "c")
    await bench.put("ProductOffering", "o", category=[{"id": "c"}, {"id": "later"}])
    await bench.put("ProductOffering", "r", origin="did:example:riga", productSpecification={"id": "far"})
    item = {"id": "1", "product": {"id": "a value", "productSerialNumber": "1"}}
    await bench.put("ProductOrder", "order", productOrderItem=[item])
    rules = Rules(MODELS)
    dangling = await rules.dangling_references(bench.store, 10)
    assert [(end.id, end.origin, end.path, end.target, end.targets) for end in dangling] == [
        ("o", None, "category[1].id", "later", ("Category",)),
        ("r", "did:example:riga", "productSpecification.id", "far", ("ProductSpecification",)),
    ]
    assert len(await rules.dangling_references(bench.store, 1)) == 1
    await bench.put("Category", "later")
    await bench.put("ProductSpecification", "far")
    assert await rules.dangling_references(bench.store, 10) == ()


async def test_the_list_goes_through_more_than_one_part_of_the_index(bench: Bench) -> None:
    async with bench.store.transaction() as tx:
        for n in range(1200):
            body = canonical_json({"id": f"o{n}", "category": [{"id": f"c{n}" if n % 100 == 7 else "o0"}]})
            await tx.put(EntityDraft(f"o{n}", "ProductOffering", body, hashlink(body), True))
    dangling = await Rules(MODELS).dangling_references(bench.store, 1000)
    assert {end.id for end in dangling} == {f"o{n}" for n in range(7, 1200, 100)}
