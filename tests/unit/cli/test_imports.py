"""Import, export and the catalogue's listing, against a real business application in the same process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from hansa.api.catalogue import CatalogueApi
from hansa.cli.catalogue.export import SkippedType, export_lines, types_to_export
from hansa.cli.catalogue.listing import entries
from hansa.cli.client import ClientResponse
from hansa.cli.demo.league import SAMPLE
from hansa.cli.imports.importer import Importer, ImportReport, summary
from hansa.cli.imports.lines import BadLine
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.limits import Limits
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.store import EntityDraft
from tests.support.business import Business, open_business
from tests.support.in_process import InProcessClient

T = TypeVar("T")
OWN_DID = "did:key:zOwn"
OTHER_DID = "did:key:zOther"
OVERLOADED = ClientResponse(503, {"retry-after": "2"}, b'{"code": "unavailable", "message": "later"}')
SERVER_ERROR = ClientResponse(500, {}, b'{"code": "internal", "message": "This marketplace failed"}')


@pytest.fixture
async def business() -> AsyncIterator[Business]:
    opened = await open_business()
    yield opened
    await opened.store.close()


@pytest.fixture
def client(business: Business) -> InProcessClient:
    routes = [catalogue_route(business), Mount("/", business.app)]
    return InProcessClient(Starlette(routes=routes), "operator")


def catalogue_route(business: Business) -> Route:
    policy = DistributionPolicy(OWN_DID, business.context.models.catalogue_types)
    return Route("/league/v1/catalogue", CatalogueApi(business.store, OWN_DID, Limits(), policy).page)


def lines_file(folder: Path, *entities: dict[str, Any] | str, name: str = "in.jsonl") -> Path:
    file = folder / name
    file.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in entities))
    return file


def category(number: int, **more: Any) -> dict[str, Any]:
    return {"@type": "Category", "id": f"urn:ngsi-ld:category:{number}", "name": f"Category {number}"} | more


async def at_once(task: asyncio.Task[T], clock: ManualClock) -> T:
    """The result of some work, with the clock moved on whenever it waits."""
    while not task.done():
        for _ in range(100):  # whoever does not wait for the clock goes first
            await asyncio.sleep(0)
        await clock.advance(0.1)
    return task.result()


async def imported(client: InProcessClient, business: Business, *files: Path) -> ImportReport:
    clock = ManualClock()
    importer = Importer(client, business.models, clock)
    return await at_once(asyncio.create_task(importer.run(files)), clock)


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    return report.created, report.changed, report.unchanged, report.refused


async def put_replica(business: Business, entity: dict[str, Any]) -> None:
    body = canonical_json(entity)
    async with business.store.transaction() as tx:
        await tx.put(
            EntityDraft(
                id=entity["id"],
                type=entity["@type"],
                body=body,
                hashlink=hashlink(body),
                public=True,
                origin=OTHER_DID,
            )
        )


async def test_a_second_import_changes_nothing(client: InProcessClient, business: Business) -> None:
    files = sorted(SAMPLE.glob("*.jsonl"))
    first = await imported(client, business, *files)
    assert first.is_complete
    assert first.bad == []
    assert first.created > 150
    again = await imported(client, business, *files)
    assert counts(again) == (0, 0, first.created, 0)
    assert "unchanged" in summary(again)


async def test_a_line_that_changed_changes_the_entity(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    period = {"startDateTime": "2026-01-01T00:00:00Z", "endDateTime": "2026-12-31T00:00:00Z"}
    await imported(client, business, lines_file(tmp_path, category(1, description="old", validFor=period)))
    changed = category(1, name="New", validFor={"startDateTime": "2026-01-01T00:00:00Z"})
    report = await imported(client, business, lines_file(tmp_path, changed))
    assert counts(report) == (0, 1, 0, 0)
    entity = await business.store.entity("urn:ngsi-ld:category:1")
    assert entity is not None
    stored = msgspec.json.decode(entity.body)
    assert (stored["name"], stored["validFor"]) == ("New", changed["validFor"])
    assert "description" not in stored
    assert counts(await imported(client, business, lines_file(tmp_path, changed))) == (0, 0, 1, 0)


async def test_a_line_without_identifier_is_imported_once(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    file = lines_file(tmp_path, {"@type": "Category", "name": "No identifier"})
    assert counts(await imported(client, business, file)) == (1, 0, 0, 0)
    assert counts(await imported(client, business, file)) == (0, 0, 1, 0)


async def test_bad_lines_are_reported_and_the_rest_is_imported(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    file = lines_file(
        tmp_path,
        category(1),
        "{not json",
        {"id": "urn:x", "name": "no type"},
        {"@type": "Spaceship", "id": "urn:y"},
        {"@type": "Category", "id": "urn:z"},
        category(2, isRoot="perhaps"),
        category(3),
    )
    reported: list[BadLine] = []
    importer = Importer(client, business.models, ManualClock(), on_bad=reported.append)
    report = await importer.run([file])
    assert counts(report) == (2, 0, 0, 5)
    assert sorted(bad.line for bad in reported) == [2, 3, 4, 5, 6]
    reasons = {bad.line: bad.reason for bad in report.bad}
    assert "Spaceship" in reasons[4]
    assert "name: is required" in reasons[5]
    assert "isRoot" in reasons[6]


async def test_an_entity_of_another_member_is_skipped(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    await put_replica(business, category(1, lifecycleStatus="Launched"))
    report = await imported(client, business, lines_file(tmp_path, category(1), category(2)))
    assert counts(report) == (1, 0, 0, 0)
    assert (report.skipped, report.bad) == (1, [])
    assert "1 skipped (replicas)" in summary(report)


async def test_an_identifier_that_another_marketplace_made_is_refused_with_what_to_do(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    foreign = category(1, id="urn:ngsi-ld:category:3a77e8ef-5624-80ec-9142-d450e51b0130")
    report = await imported(client, business, lines_file(tmp_path, foreign, category(2)))
    assert counts(report) == (1, 0, 0, 1)
    assert report.bad[0].code == "identifier-reserved"
    assert 'leave out "id"' in report.bad[0].reason


async def test_an_identifier_of_another_type_is_refused(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    await imported(client, business, lines_file(tmp_path, category(1)))
    other = {"@type": "Catalog", "id": "urn:ngsi-ld:category:1", "name": "A catalogue"}
    report = await imported(client, business, lines_file(tmp_path, other))
    assert counts(report) == (0, 0, 0, 1)
    assert report.bad[0].code == "conflict"


async def test_an_import_without_a_valid_token_stops_at_once(business: Business, tmp_path: Path) -> None:
    client = InProcessClient(business.app, "nobody")
    importer = Importer(client, business.models, ManualClock())
    with pytest.raises(Refused) as caught:
        await importer.run([lines_file(tmp_path, *(category(n) for n in range(200)))])
    assert caught.value.exit_status == 13
    assert not importer.report.is_complete
    assert len(client.requests) < 50


async def test_an_overloaded_marketplace_gets_everything_in_the_end(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    left = 10

    def overloaded(_: str, __: str) -> ClientResponse | None:
        nonlocal left
        left -= 1
        return OVERLOADED if left >= 0 else None

    client.faults.append(overloaded)
    report = await imported(client, business, lines_file(tmp_path, *(category(n) for n in range(100))))
    assert counts(report) == (100, 0, 0, 0)


async def test_a_response_that_was_lost_does_not_double_or_lose_an_entity(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    await imported(client, business, lines_file(tmp_path, category(0)))
    entities = [category(n) for n in range(100)]
    clock = ManualClock()
    importer = Importer(client, business.models, clock)

    def lose_some(_: str, __: str) -> None:
        if len(client.requests) in {40, 60}:  # more than run at once, so some have been answered
            client.lost_responses = 10

    client.faults.append(lose_some)
    report = await at_once(asyncio.create_task(importer.run([lines_file(tmp_path, *entities)])), clock)
    assert report.created + report.unchanged == 100
    assert report.unchanged > 1
    assert sum((await business.store.counts()).values()) == 100


async def test_a_marketplace_that_stays_away_ends_the_import_which_can_go_on_later(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    file = lines_file(tmp_path, *(category(n) for n in range(100)))

    def unreachable(_: str, __: str) -> Exception | None:
        return client.unreachable() if len(client.requests) > 50 else None

    client.faults.append(unreachable)
    clock = ManualClock()
    importer = Importer(client, business.models, clock, patience_s=30)
    with pytest.raises(Unavailable):
        await at_once(asyncio.create_task(importer.run([file])), clock)
    assert 30 <= clock.monotonic() < 60
    done = importer.report.lines
    assert 0 < done < 100
    client.faults.clear()
    report = await imported(client, business, file)
    assert report.unchanged >= done
    assert report.created + report.unchanged == 100


async def test_a_marketplace_that_was_never_there_is_reported_at_once(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    client.faults.append(lambda _, __: client.unreachable())
    clock = ManualClock()
    importer = Importer(client, business.models, clock)
    with pytest.raises(Unavailable, match="hansa serve") as caught:
        await importer.run([lines_file(tmp_path, category(1))])
    assert caught.value.exit_status == 12
    assert clock.monotonic() == 0


async def test_an_error_of_the_marketplace_is_repeated_and_then_reported(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    client.faults.append(lambda method, _: SERVER_ERROR if method == "POST" else None)
    report = await imported(client, business, lines_file(tmp_path, category(1)))
    assert counts(report) == (0, 0, 0, 1)
    assert client.requests.count(("POST", "/tmf-api/productCatalogManagement/v4/category")) == 3


async def exported(
    client: InProcessClient, business: Business, types: Iterable[str] = (), *, own: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    entities, skipped = [], []
    names = types_to_export(business.models, list(types))
    async for line in export_lines(client, business.models, names, is_own_only=own):
        if isinstance(line, SkippedType):
            skipped.append(line.type)
        else:
            entities.append(json.loads(line))
    return entities, skipped


async def test_what_was_exported_can_be_imported_elsewhere_and_is_the_same(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    files = sorted(SAMPLE.glob("*.jsonl"))
    count = (await imported(client, business, *files)).created
    entities, skipped = await exported(client, business)
    assert (len(entities), skipped) == (count, [])
    assert not any("href" in entity for entity in entities)
    elsewhere = await open_business()
    report = await imported(
        InProcessClient(elsewhere.app, "operator"), elsewhere, lines_file(tmp_path, *entities)
    )
    await elsewhere.store.close()
    assert counts(report) == (count, 0, 0, 0)


async def test_without_a_token_private_entities_are_left_out(
    client: InProcessClient, business: Business
) -> None:
    await imported(client, business, *sorted(SAMPLE.glob("*.jsonl")))
    entities, skipped = await exported(InProcessClient(business.app), business)
    private = business.models.types - business.models.catalogue_types
    assert "Individual" in skipped
    assert private.issuperset(skipped)
    assert all(entity.get("lifecycleStatus") != "In design" for entity in entities)


async def test_a_long_list_is_exported_whole_and_types_can_be_chosen(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    await imported(client, business, lines_file(tmp_path, *(category(n) for n in range(1234))))
    entities, _ = await exported(client, business, ["Category"])
    assert len({entity["id"] for entity in entities}) == 1234
    with pytest.raises(Refused, match="Spaceship"):
        types_to_export(business.models, ["Spaceship"])


async def test_the_catalogue_lists_public_entities_with_their_origin_in_pages(
    client: InProcessClient, business: Business, tmp_path: Path
) -> None:
    own = [category(n, lifecycleStatus="Launched") for n in range(1100)]
    await imported(client, business, lines_file(tmp_path, *own, category(9999, lifecycleStatus="In design")))
    await put_replica(business, category(5000, lifecycleStatus="Launched"))
    listed = [entry async for entry in entries(client)]
    assert [entry.id for entry in listed] == sorted(entry.id for entry in listed)
    assert len(listed) == 1101
    assert {entry.id for entry in listed if entry.origin == OTHER_DID} == {"urn:ngsi-ld:category:5000"}
    assert [entry async for entry in entries(client, ["Catalog"])] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=-1", "limit=%D9%A3"])
async def test_an_invalid_limit_is_refused(business: Business, query: str) -> None:
    client = InProcessClient(Starlette(routes=[catalogue_route(business)]))
    with pytest.raises(Refused) as caught:
        await client.request("GET", f"/league/v1/catalogue?{query}")
    assert caught.value.code is Code.INVALID
