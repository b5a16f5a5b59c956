"""What the official documents allow is taken: the smallest bodies, each attribute patched and queried by.

Conformance kits send what the document of their API makes mandatory, and little else. Clients that exist
leave out even of that what a marketplace can tell: it is completed or done without
(`hansa.business.validation.inferred`), and only what the meaning of an entity hangs on is demanded.

Attributes are tried several in one request; `EACH_ATTRIBUTE` has each tried by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from hansa.business.models import Api, Resource
from tests.conformance.document_bodies import DocumentBodies, Operation, Required, of_base
from tests.conformance.official import document
from tests.support.asgi import Response
from tests.support.business import MODELS, Business, open_business

pytestmark = pytest.mark.asyncio(loop_scope="module")
IS_EACH: Final = bool(os.environ.get("EACH_ATTRIBUTE"))
AT_ONCE: Final = 1 if IS_EACH else 8
"""Attributes in one request; a list is sorted by no more."""
AGREED: Final[dict[str, Any]] = {
    # The document allows a pattern without attributes, which every alarm would match.
    "alarmPattern": [{"alarmType": "x"}],
    # A create has one role here, and answers two at least: the list is what is stored (`differences.py`).
    "associationRole": [{"role": "x", "entity": {"id": "y"}}] * 2,
    "associationRoleSpec": [{}] * 2,
}
"""Values of attributes for which a document contradicts itself or what it is about."""
TOLD_BY_NOBODY: Final = ("planned", "requested", "expected", "scheduled")
"""Beginnings of the names of moments that the client alone knows."""
COMPUTED: Final = frozenset({"href", "version", "@type", "@baseType", "@schemaLocation", "@referredType"})
"""Attributes that a marketplace can set, wherever they are."""
DEMANDED_OF_PARTS: Final = frozenset({"id", "name", "value", "text", "action", "amount", "role", "entity"})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


class Tried:
    """One API, as its document has it, at a business application."""

    def __init__(self, business: Business, api: Api, shared: Path) -> None:
        self.client = business.operator
        self.api = api
        self.bodies = DocumentBodies(document(shared, api.id))
        self._ids: dict[str, str] = {}

    async def create(self, operation: Operation, body: dict[str, Any]) -> Response:
        """Post a body; the parent of a sub-resource is there."""
        return await self.client.post(self.address(operation.path), body)

    async def created(self) -> list[tuple[Operation, Response]]:
        """The answers to the smallest body of each operation that creates."""
        answers = []
        for operation in self.bodies.operations("post"):
            answer = await self.create(operation, self.smallest(operation))
            answers.append((operation, answer))
            if answer.status in {200, 201}:
                self._ids[operation.path] = answer.json()["id"]
        return answers

    def smallest(self, operation: Operation) -> dict[str, Any]:
        """The smallest body; the server gives the identity."""
        body = self.bodies.smallest(operation.schema)
        return {name: AGREED.get(name, value) for name, value in body.items() if name not in {"id", "href"}}

    def sample(self, operation: Operation, name: str) -> Any:
        """A value of one attribute; items are in no state, which would be one that cannot follow theirs."""
        value = AGREED.get(name, self.bodies.sample(operation.schema, name))
        machine = MODELS.lifecycle(self.resource(operation.path))
        for items in machine.items if machine is not None else ():
            if items.path == name:
                value = [{key: one for key, one in item.items() if key != items.status} for item in value]
        return value

    def address(self, path: str) -> str:
        """A path with the identifiers of what was created."""
        for found in re.finditer(r"\{\w+\}", path):
            above = path[: found.start()].rstrip("/")
            path = path.replace(found[0], self._ids.get(above, "nothing"), 1)
        return of_base(self.api, path)

    def resource(self, path: str) -> Resource:
        """The resource at a path, of its collection or of an entity."""
        plain = re.sub(r"/\{\w+\}$", "", path).strip("/")
        return next(one for one in self.api.resources if one.path == plain)


@pytest.fixture(params=MODELS.apis, ids=lambda api: api.id)
def tried(request: pytest.FixtureRequest, business: Business, shared: Path) -> Tried:
    return Tried(business, request.param, shared)


async def test_the_smallest_body_of_each_document_is_taken(tried: Tried) -> None:
    refused = {
        operation.path: (answer.status, answer.body[:300])
        for operation, answer in await tried.created()
        if answer.status not in {200, 201}
    }
    assert refused == {}


async def test_what_is_left_out_is_completed_or_named_unless_the_meaning_hangs_on_it(tried: Tried) -> None:
    await tried.created()
    for operation in tried.bodies.operations("post"):
        whole, resource = tried.smallest(operation), tried.resource(operation.path)
        for one in tried.bodies.requirements(operation.schema, whole):
            if one.path[0] in AGREED and len(one.path) > 1:
                continue
            answer = await tried.create(operation, without(whole, one.path))
            place = text_of(one.path)
            if answer.status == 400:
                assert f"{place}: " in answer.json()["message"], (place, answer.body)
                assert may_be_demanded(one, resource, tried.bodies), (operation.path, place)
                continue
            assert answer.status in {200, 201}, (operation.path, place, answer.body)
            missing = answer.headers.get("hansa-missing", "").split(", ")
            is_entity = len(one.path) > 1 and one.owner in {each.type for each in tried.api.resources}
            is_there = at(answer.json(), one.path) is not None
            assert is_entity or is_there or place in missing, (operation.path, place)


def may_be_demanded(one: Required, resource: Resource, bodies: DocumentBodies) -> bool:
    """Whether the client alone can tell what an attribute is, and the meaning of the entity hangs on it."""
    if one.name in COMPUTED:
        return False
    if len(one.path) > 1:
        return one.name in DEMANDED_OF_PARTS
    schema = bodies.properties(one.owner)[one.name]
    is_moment = schema.get("format") == "date-time" and not one.name.startswith(TOLD_BY_NOBODY)
    return one.name != resource.status_attribute and not is_moment and schema.get("type") != "boolean"


async def test_each_attribute_that_a_document_has_in_updates_is_patched(tried: Tried) -> None:
    ids = {operation.path: answer.json()["id"] for operation, answer in await tried.created()}
    problems = []
    for operation in tried.bodies.operations("patch"):
        collection, resource = re.sub(r"/\{\w+\}$", "", operation.path), tried.resource(operation.path)
        if collection not in ids:
            continue  # nobody but the marketplace's own systems creates it
        target = f"{tried.address(collection)}/{ids[collection]}"
        set_here = {*resource.stamped_on_create, *resource.stamped_on_write, *resource.stamped_on_status}
        set_here |= {"id", "href", "@type", "@baseType", resource.status_attribute or ""}
        names = [name for name in tried.bodies.properties(operation.schema) if name not in set_here]
        for some in chunks(names):
            patch = {name: tried.sample(operation, name) for name in some}
            answer = await tried.client.patch(target, patch)
            if answer.status != 200:
                problems.append(f"{operation.path} {some}: {answer.status} {answer.body[:300]!r}")
                continue
            entity = answer.json()
            problems += [
                f"{operation.path} {name} was not patched" for name in some if not holds(entity, name, patch)
            ]
    assert problems == []


async def test_lists_are_filtered_sorted_and_cut_by_each_attribute_of_a_document(tried: Tried) -> None:
    created = await tried.created()
    problems = []
    for operation, answer in created:
        resource, entity = tried.resource(operation.path), answer.json()
        if "list" not in resource.methods:
            continue
        names = list(tried.bodies.properties(operation.schema.removesuffix("_Create")))
        collection = tried.address(operation.path)
        for some in chunks(names):
            for query in (f"fields={','.join(some)}", f"sort={','.join(some)}"):
                listed = await tried.client.get(f"{collection}?{query}&id={entity['id']}")
                if listed.status != 200 or [one["id"] for one in listed.json()] != [entity["id"]]:
                    problems.append(f"{collection}?{query}: {listed.status} {listed.body[:200]!r}")
        for some in chunks(list(equalities(entity))):
            for mark in ("", "'", '"'):
                query = "&".join(f"{name}={mark}{value}{mark}" for name, value in some)
                listed = await tried.client.get(f"{collection}?{query}&id={entity['id']}")
                if listed.status != 200 or [one["id"] for one in listed.json()] != [entity["id"]]:
                    problems.append(f"{collection}?{query}: {listed.status} {listed.body[:200]!r}")
    assert problems == []


def chunks(items: Sequence[Any]) -> Iterator[list[Any]]:
    """A few at a time."""
    for start in range(0, len(items), AT_ONCE):
        yield list(items[start : start + AT_ONCE])


def equalities(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Filters that hold for an entity: a value, and the dotted name of the attribute that has it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from equalities(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value[:1]:
            yield from equalities(item, path)
    else:
        yield path, value if isinstance(value, str) else msgspec.json.encode(value).decode()


def without(body: Any, path: tuple[str | int, ...]) -> Any:
    """A copy of a body without what is at a path."""
    copy = msgspec.json.decode(msgspec.json.encode(body))
    *above, name = path
    holder = copy
    for step in above:
        holder = holder[step]
    del holder[name]
    return copy


def at(body: Any, path: tuple[str | int, ...]) -> Any:
    """What is at a path; None when nothing is."""
    for step in path:
        if isinstance(step, int):
            body = body[step] if isinstance(body, list) and len(body) > step else None
        else:
            body = body.get(step) if isinstance(body, dict) else None
    return body


def holds(entity: Any, name: str, patch: dict[str, Any]) -> bool:
    """Whether an entity has what a patch said; parts may have been completed."""
    return is_within(patch[name], entity.get(name))


def is_within(part: Any, whole: Any) -> bool:
    """Whether a value has everything that another has."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(is_within(one, whole.get(name)) for name, one in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(part) == len(whole) and all(map(is_within, part, whole))
    return bool(part == whole)


def text_of(path: tuple[str | int, ...]) -> str:
    """As `category[0].id`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text
