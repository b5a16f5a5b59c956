"""Operations, called as a page, a job or another face calls them: without HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from hansa.business import BusinessApp
from hansa.business.operations.api_operations import ResourceOperations
from hansa.business.operations.writes import Preconditions, WriteResult
from hansa.business.patches import JSON_PATCH, MERGE_PATCH
from hansa.core.access import ANONYMOUS, AccessTarget, Action, Caller, Decision
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused
from hansa.store import Entity, EntityDraft, Filter, Query, SortKey
from tests.support.business import Business

PROVIDER = Caller("provider", frozenset({"provider"}))
OPERATOR = Caller("operator", frozenset({"operator"}))
READER = Caller("reader", frozenset({"reader"}))


@pytest.fixture
def offerings(business: Business) -> ResourceOperations:
    return business.app.operations["TMF620"]["ProductOffering"]


async def created(operations: ResourceOperations, **attributes: Any) -> Entity:
    body = {"name": "Backup", "lifecycleStatus": "Launched", **attributes}
    return (await operations.create.one(operations.create.authorize(PROVIDER), body)).entity


async def read(operations: ResourceOperations, entity_id: str, caller: Caller = READER) -> dict[str, Any]:
    entity = await operations.read.one(await operations.read.scope(caller), entity_id)
    fields: dict[str, Any] = msgspec.json.decode(entity.body)
    return fields


def check_code(refused: pytest.ExceptionInfo[Refused], code: Code) -> None:
    assert refused.value.code is code
    assert refused.value.message


# -- reading --------------------------------------------------------------------------------------------------


async def test_what_was_created_is_read_as_it_is_stored(offerings: ResourceOperations) -> None:
    entity = await created(offerings)
    scope = await offerings.read.scope(ANONYMOUS)
    assert await offerings.read.one(scope, entity.id) == entity
    assert msgspec.json.decode(entity.body)["name"] == "Backup"
    assert entity.hashlink == hashlink(entity.body)


async def test_a_draft_is_not_there_for_a_caller_who_may_read_only_what_is_public(
    offerings: ResourceOperations,
) -> None:
    draft = await created(offerings, lifecycleStatus="In design")
    scope = await offerings.read.scope(ANONYMOUS)
    with pytest.raises(Refused) as refused:
        await offerings.read.one(scope, draft.id)
    check_code(refused, Code.NOT_FOUND)
    assert (await offerings.read.page(scope, Query("ProductOffering"))).total == 0
    assert (await read(offerings, draft.id))["id"] == draft.id


async def test_a_page_has_what_the_query_selects_in_its_order(offerings: ResourceOperations) -> None:
    ids = [(await created(offerings, name=name)).id for name in ("b", "c", "a", "x")]
    query = Query(
        "ProductOffering", (Filter(("name",), ("a", "b", "c")),), (SortKey(("name",)),), offset=1, limit=1
    )
    page = await offerings.read.page(await offerings.read.scope(READER), query)
    assert (page.ids, page.total) == ((ids[0],), 3)


async def test_a_query_cannot_widen_what_a_scope_allows(offerings: ResourceOperations) -> None:
    await created(offerings, lifecycleStatus="In design")
    query = Query("ProductOffering", public_only=False)
    page = await offerings.read.page(await offerings.read.scope(ANONYMOUS), query)
    assert page.total == 0


async def test_private_attributes_are_left_out_of_entities_and_pages(business: Business) -> None:
    organizations = business.app.operations["TMF632"]["Organization"]
    grant = organizations.create.authorize(PROVIDER)
    body = {"tradingName": "Hanse", "creditRating": [{"ratingScore": 3}]}
    entity = (await organizations.create.one(grant, body)).entity
    scope = await organizations.read.scope(ANONYMOUS)
    public = await organizations.read.one(scope, entity.id)
    assert "creditRating" not in msgspec.json.decode(public.body)
    assert public.hashlink == hashlink(public.body) != entity.hashlink
    page = await organizations.read.page(scope, Query("Organization"))
    assert page.bodies == (public.body,)
    conditions = (Filter(("creditRating", "ratingScore"), ("3",)),)
    with pytest.raises(Refused) as refused:
        await organizations.read.page(scope, Query("Organization", conditions))
    check_code(refused, Code.INVALID)


async def test_references_are_filled_with_what_the_caller_may_see(business: Business) -> None:
    operations = business.app.operations["TMF620"]
    categories, offerings = operations["Category"], operations["ProductOffering"]
    category = await created(categories, name="Storage")
    offering = await created(offerings, category=[{"id": category.id, "name": "as referred"}])
    scope = await offerings.read.scope(ANONYMOUS)
    (filled,) = await offerings.read.expand(scope, (offering.body,), (("category",),), 0)
    (reference,) = msgspec.json.decode(filled)["category"]
    assert reference["name"] == "as referred"
    assert reference["lifecycleStatus"] == "Launched"


async def test_the_revision_changes_with_the_collection(offerings: ResourceOperations) -> None:
    before = offerings.read.revision()
    await created(offerings)
    assert offerings.read.revision() != before


async def test_elements_of_a_parent_are_read_and_listed_in_its_order(business: Business) -> None:
    operations = business.app.operations["TMF673"]
    addresses = operations["GeographicAddress"]
    parts = [{"id": "2", "name": "b"}, {"id": "1", "name": "a", "href": "x"}, {"name": "without"}]
    body = {"city": "Lübeck", "geographicSubAddress": parts}
    address = (await addresses.create.one(addresses.create.authorize(OPERATOR), body)).entity
    embedded = operations["GeographicSubAddress"].embedded
    assert embedded is not None
    scope = await embedded.scope(READER, address.id)
    page = await embedded.page(scope, Query("GeographicSubAddress"))
    assert ([element["id"] for element in page.elements], page.total) == (["2", "1"], 2)
    assert (await embedded.one(scope, "1"))["name"] == "a"
    with pytest.raises(Refused) as refused:
        await embedded.one(scope, "3")
    check_code(refused, Code.NOT_FOUND)
    with pytest.raises(Refused) as refused:
        await embedded.scope(READER, "nowhere")
    check_code(refused, Code.NOT_FOUND)


# -- creating -------------------------------------------------------------------------------------------------


async def test_a_body_may_be_bytes_or_an_object(offerings: ResourceOperations) -> None:
    grant = offerings.create.authorize(PROVIDER)
    for body in (b'{"name":"Backup"}', {"name": "Backup"}):
        entity = (await offerings.create.one(grant, body)).entity
        assert (await read(offerings, entity.id))["name"] == "Backup"


async def test_what_a_caller_makes_of_a_result_is_returned(offerings: ResourceOperations) -> None:
    grant = offerings.create.authorize(PROVIDER)

    def identifier(result: WriteResult) -> str:
        return result.entity.id

    assert await offerings.create.one_as(grant, {"name": "x", "id": "mine"}, None, identifier) == "mine"
    made = await offerings.create.one_as(grant, {"name": "x"}, None, identifier)
    assert (await read(offerings, made))["name"] == "x"


async def test_references_to_what_is_not_here_are_reported(offerings: ResourceOperations) -> None:
    grant = offerings.create.authorize(PROVIDER)
    body = {"name": "x", "category": [{"id": "urn:nothing"}]}
    result = await offerings.create.one(grant, body)
    assert [reference.target_id for reference in result.unresolved] == ["urn:nothing"]


async def test_an_identifier_in_use_is_refused(offerings: ResourceOperations) -> None:
    grant = offerings.create.authorize(PROVIDER)
    await offerings.create.one(grant, {"name": "x", "id": "mine"})
    with pytest.raises(Refused) as refused:
        await offerings.create.one(grant, {"name": "y", "id": "mine"})
    check_code(refused, Code.CONFLICT)


async def test_several_are_created_all_or_none(offerings: ResourceOperations) -> None:
    grant = offerings.create.authorize(PROVIDER)
    with pytest.raises(Refused) as refused:
        await offerings.create.several(grant, [{"name": "a"}, {"name": 7}])
    check_code(refused, Code.INVALID)
    scope = await offerings.read.scope(READER)
    assert (await offerings.read.page(scope, Query("ProductOffering"))).total == 0
    results = await offerings.create.several(grant, [{"name": "a"}, {"name": "b"}])
    names = [msgspec.json.decode(result.entity.body)["name"] for result in results]
    assert names == ["a", "b"]


async def test_a_sub_resource_is_created_read_and_deleted_with_its_parent(business: Business) -> None:
    operations = business.app.operations["TMF701"]
    flows, tasks = operations["ProcessFlow"], operations["TaskFlow"]
    flow = (
        await flows.create.one(flows.create.authorize(OPERATOR), {"processFlowSpecification": "p"})
    ).entity
    grant = tasks.create.authorize(OPERATOR)
    body = {"taskFlowSpecification": "t"}
    with pytest.raises(Refused) as refused:
        await tasks.create.one(grant, dict(body), "nowhere")
    check_code(refused, Code.NOT_FOUND)
    task = (await tasks.create.one(grant, dict(body), flow.id)).entity
    scope = await tasks.read.scope(READER, flow.id)
    assert await tasks.read.one(scope, task.id) == task
    assert (await tasks.read.page(scope, Query("TaskFlow"))).ids == (task.id,)
    await flows.delete.delete(flows.delete.authorize(OPERATOR), flow.id)
    assert await business.store.entity(task.id) is None


# -- changing and deleting ------------------------------------------------------------------------------------


async def test_a_replaced_entity_keeps_what_only_the_marketplace_sets(offerings: ResourceOperations) -> None:
    entity = await created(offerings, description="old")
    grant = offerings.update.authorize(PROVIDER)
    result = await offerings.update.replace(grant, entity.id, {"name": "new", "lifecycleStatus": "Retired"})
    after = msgspec.json.decode(result.entity.body)
    assert (after["id"], after["name"]) == (entity.id, "new")
    assert "description" not in after
    with pytest.raises(Refused) as refused:
        await offerings.update.replace(grant, entity.id, {"id": "other", "name": "new"})
    check_code(refused, Code.INVALID)


@pytest.mark.parametrize(
    ("form", "patch"),
    [
        (MERGE_PATCH, {"name": "new"}),
        (JSON_PATCH, [{"op": "replace", "path": "/name", "value": "new"}]),
    ],
)
async def test_a_patch_changes_what_it_names(offerings: ResourceOperations, form: str, patch: Any) -> None:
    entity = await created(offerings, description="old")
    grant = offerings.update.authorize(PROVIDER)
    await offerings.update.patch(grant, entity.id, form, patch)
    after = await read(offerings, entity.id)
    assert (after["name"], after["description"]) == ("new", "old")


async def test_a_write_goes_through_only_when_its_preconditions_hold(offerings: ResourceOperations) -> None:
    entity = await created(offerings)
    written = datetime.fromisoformat(entity.modified).astimezone(UTC)
    failing = (
        Preconditions(versions=frozenset({"hl:other"})),
        Preconditions(unmodified_since=written - timedelta(seconds=1)),
        Preconditions(other_versions=frozenset({entity.hashlink})),
        Preconditions(is_absent=True),
    )
    grant = offerings.update.authorize(PROVIDER)
    for expected in failing:
        with pytest.raises(Refused) as refused:
            await offerings.update.patch(grant, entity.id, MERGE_PATCH, {"name": "new"}, expected=expected)
        check_code(refused, Code.PRECONDITION_FAILED)
        assert entity.hashlink in refused.value.message
    holding = Preconditions(versions=frozenset({entity.hashlink, "hl:other"}))
    result = await offerings.update.patch(grant, entity.id, MERGE_PATCH, {"name": "new"}, expected=holding)
    assert result.entity.hashlink != entity.hashlink
    unmodified = Preconditions(unmodified_since=written)
    await offerings.delete.delete(offerings.delete.authorize(PROVIDER), entity.id, expected=unmodified)


async def test_a_deleted_entity_is_not_there(offerings: ResourceOperations) -> None:
    entity = await created(offerings)
    grant = offerings.delete.authorize(PROVIDER)
    await offerings.delete.delete(grant, entity.id)
    with pytest.raises(Refused) as refused:
        await offerings.delete.delete(grant, entity.id)
    check_code(refused, Code.NOT_FOUND)


async def test_what_others_refer_to_is_not_deleted(business: Business) -> None:
    operations = business.app.operations["TMF620"]
    category = await created(operations["Category"], name="Storage")
    await created(operations["ProductOffering"], category=[{"id": category.id}])
    delete = operations["Category"].delete
    with pytest.raises(Refused) as refused:
        await delete.delete(delete.authorize(PROVIDER), category.id)
    check_code(refused, Code.STILL_REFERENCED)


async def test_a_replica_is_neither_changed_nor_deleted(
    business: Business, offerings: ResourceOperations
) -> None:
    body = canonical_json({"id": "r1", "@type": "ProductOffering", "name": "Far"})
    async with business.store.transaction() as tx:
        draft = EntityDraft(
            "r1", "ProductOffering", body, hashlink(body), public=True, origin="did:key:zElsewhere"
        )
        await tx.put(draft)
    grant = offerings.update.authorize(PROVIDER)
    with pytest.raises(Refused) as refused:
        await offerings.update.patch(grant, "r1", MERGE_PATCH, {"name": "Near"})
    check_code(refused, Code.READ_ONLY_REPLICA)
    with pytest.raises(Refused) as refused:
        await offerings.delete.delete(offerings.delete.authorize(PROVIDER), "r1")
    check_code(refused, Code.READ_ONLY_REPLICA)


async def test_a_job_creates_or_replaces_within_its_transaction(
    business: Business, offerings: ResourceOperations
) -> None:
    for name in ("first", "second"):
        async with business.store.transaction() as tx:
            body = {"id": "mine", "name": name, "lifecycleStatus": "In study"}
            await offerings.update.create_or_replace_within(tx, body)
        assert (await read(offerings, "mine"))["name"] == name


async def test_a_task_is_carried_out_when_it_is_created(business: Business) -> None:
    operations = business.app.operations["TMF622"]
    orders, cancels = operations["ProductOrder"], operations["CancelProductOrder"]
    order = (
        await orders.create.one(
            orders.create.authorize(PROVIDER), {"productOrderItem": [{"id": "1", "action": "add"}]}
        )
    ).entity
    task = await cancels.create.one(cancels.create.authorize(PROVIDER), {"productOrder": {"id": order.id}})
    assert msgspec.json.decode(task.entity.body)["state"] == "done"
    assert (await read(orders, order.id))["state"] == "cancelled"


# -- rights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("caller", "code"), [(ANONYMOUS, Code.UNAUTHENTICATED), (READER, Code.FORBIDDEN)])
def test_writing_is_granted_to_nobody_without_the_right(
    offerings: ResourceOperations, caller: Caller, code: Code
) -> None:
    for operation in (offerings.create, offerings.update, offerings.delete):
        with pytest.raises(Refused) as refused:
            operation.authorize(caller)
        check_code(refused, code)


async def test_reading_private_types_needs_a_caller_who_is_known(business: Business) -> None:
    individuals = business.app.operations["TMF632"]["Individual"]
    with pytest.raises(Refused) as refused:
        await individuals.read.scope(ANONYMOUS)
    check_code(refused, Code.UNAUTHENTICATED)
    assert not (await individuals.read.scope(READER)).public_only


def test_what_exists_for_operators_alone_is_granted_to_them_alone(business: Business) -> None:
    addresses = business.app.operations["TMF673"]["GeographicAddress"]
    with pytest.raises(Refused) as refused:
        addresses.create.authorize(PROVIDER)
    check_code(refused, Code.METHOD_NOT_ALLOWED)
    assert addresses.create.authorize(OPERATOR).action is Action.CREATE


async def test_a_grant_is_used_where_it_was_made(business: Business) -> None:
    operations = business.app.operations["TMF620"]
    grant = operations["Category"].create.authorize(PROVIDER)
    with pytest.raises(AssertionError):
        await operations["ProductOffering"].create.one(grant, {"name": "x"})
    with pytest.raises(AssertionError):
        await operations["Category"].delete.delete(grant, "x")


async def test_operations_follow_whatever_authorizes(business: Business) -> None:
    questions: list[tuple[str | None, Action, str]] = []

    def authorize(caller: Caller, action: Action, target: AccessTarget, /) -> Decision:
        questions.append((caller.subject, action, target.collection))
        if action is Action.DELETE:
            return Decision(Code.FORBIDDEN, "Nobody deletes on Sundays.")
        return Decision(public_only=True)

    app = BusinessApp(msgspec.structs.replace(business.context, authorize=authorize))
    offerings = app.operations["TMF620"]["ProductOffering"]
    grant = offerings.create.authorize(ANONYMOUS)
    await offerings.create.one(grant, {"name": "x"})
    assert (await offerings.read.scope(OPERATOR)).public_only
    with pytest.raises(Refused, match="Sundays"):
        offerings.delete.authorize(OPERATOR)
    assert questions == [
        (None, Action.CREATE, "ProductOffering"),
        ("operator", Action.READ, "ProductOffering"),
        ("operator", Action.DELETE, "ProductOffering"),
    ]
