"""Import and export jobs: what they write and read, what they tell, and that a crash loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hansa.business import BusinessApp
from hansa.business.jobs.files import JobFiles
from hansa.business.jobs.runner import JobRunner
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused
from hansa.core.http import HttpRequest, HttpResponse
from hansa.core.limits import Limits
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, ENDPOINT, Business, open_business
from tests.support.conditions import eventually

IMPORTS = f"{CATALOG}/importJob"
EXPORTS = f"{CATALOG}/exportJob"
OFFERINGS = f"{CATALOG}/productOffering"


class Files:
    """A host that serves contents; others are not allowed."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    async def send(self, request: HttpRequest) -> HttpResponse:
        if not request.url.startswith("https://files.example/"):
            raise Refused(Code.HOST_NOT_ALLOWED, "The host is not allowed.")
        content = self.contents.get(request.url)
        return HttpResponse(404 if content is None else 200, {}, content or b"")


class Marketplace:
    """A business application whose jobs are worked off."""

    def __init__(self, business: Business, folder: Path) -> None:
        self.store = business.store
        self.files = Files()
        self.folder = folder
        files = JobFiles(folder, business.models, business.clock, business.limits)
        app = BusinessApp(business.context, files)
        self.runner = JobRunner(business.context, files, app.operations, self.files)
        self.client = AsgiClient(app).with_headers(authorization="Bearer provider")
        self.anonymous = AsgiClient(app)

    async def created(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.post(path, body)
        assert answer.status == 201, answer.body
        job: dict[str, Any] = answer.json()
        return job

    async def finished(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A job that was created and has ended."""
        job = await self.created(path, body)
        await self.ended(job)
        current: dict[str, Any] = (await self.client.get(job["href"])).json()
        return current

    async def ended(self, job: dict[str, Any]) -> None:
        async def is_ended() -> bool:
            status = (await self.client.get(job["href"])).json()["status"]
            return status in {"Succeeded", "Failed"}

        await eventually(is_ended)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.runner.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest_asyncio.fixture
async def market(business: Business, tmp_path: Path) -> Marketplace:
    return Marketplace(business, tmp_path / "jobs")


def lines(*bodies: Any) -> bytes:
    return b"\n".join(body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies)


async def names(market: Marketplace) -> list[str]:
    return [one["name"] for one in (await market.client.get(f"{OFFERINGS}?sort=name")).json()]


async def test_an_export_holds_what_a_list_would(market: Marketplace) -> None:
    for name in ("a", "b", "c"):
        await market.created(OFFERINGS, {"name": name})
    async with market.running():
        job = await market.finished(
            EXPORTS,
            {"url": "content", "path": "/productOffering", "query": "name=a,b&sort=-name&fields=name"},
        )
    assert job["status"] == "Succeeded", job
    assert job["url"] == f"{job['href']}/content"
    assert job["progress"] == {"done": 2, "failed": 0, "total": 2}
    assert job["completionDate"]
    content = await market.client.get(job["url"])
    assert content.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["name"] for line in content.body.splitlines()] == ["b", "a"]
    assert (await market.anonymous.get(job["url"])).status == 401
    operations = [one.operation for one in await market.store.changes(0, 100) if one.entity_id == job["id"]]
    assert operations == ["create", "state", "state"]


@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson"])
async def test_what_was_exported_can_be_imported_again(market: Marketplace, content_type: str) -> None:
    await market.created(f"{CATALOG}/category", {"name": "wine"})
    made = [await market.created(OFFERINGS, {"name": name}) for name in ("a", "b")]
    async with market.running():
        job = await market.finished(EXPORTS, {"url": "content", "contentType": content_type})
        for one in made:
            await market.client.delete(one["href"])
        back = await market.finished(IMPORTS, {"url": job["url"], "contentType": content_type})
    assert back["status"] == "Succeeded", back
    assert back["progress"] == {"done": 3, "failed": 0, "total": 3}
    assert await names(market) == ["a", "b"]
    after = (await market.client.get(made[0]["href"])).json()
    assert {**after, "lastUpdate": None} == {**made[0], "lastUpdate": None}


async def test_a_client_can_bring_the_content(market: Marketplace) -> None:
    async with market.running():
        job = await market.created(IMPORTS, {"url": "content", "path": "productOffering"})
        other = await market.finished(EXPORTS, {"url": "content"})
        assert other["status"] == "Succeeded"  # the one that waits does not hold others up
        content = lines({"name": "a", "id": "1"}, {"name": "b"})
        for status in (204, 409):
            answer = await market.client.request(
                "PUT",
                f"{job['href']}/content",
                chunks=[content[:10], content[10:]],
                headers={"content-type": "application/x-ndjson"},
            )
            assert answer.status == status
        await market.ended(job)
    assert await names(market) == ["a", "b"]
    assert (await market.client.get(f"{OFFERINGS}/1")).status == 200


async def test_what_is_refused_is_reported_and_the_rest_is_there(market: Marketplace) -> None:
    market.files.contents["https://files.example/x"] = lines(
        {"name": "a"}, {"name": 5}, b"no JSON", {"name": "b", "unheardOf": 1}, {"name": "c"}
    )
    async with market.running():
        job = await market.finished(IMPORTS, {"url": "https://files.example/x", "path": "/productOffering"})
    assert job["status"] == "Failed"
    assert job["progress"] == {"done": 2, "failed": 3, "total": 5}
    reports = job["errorLog"].splitlines()
    assert reports[0] == "3 of 5 records were refused."
    assert [line.partition(":")[0] for line in reports[1:]] == ["Record 2", "Record 3", "Record 4"]
    assert await names(market) == ["a", "c"]


async def test_an_identifier_that_another_marketplace_made_is_reported_with_what_to_do(
    market: Marketplace,
) -> None:
    foreign = "urn:ngsi-ld:product-offering:3a77e8ef-5624-80ec-9142-d450e51b0130"
    market.files.contents["https://files.example/x"] = lines({"name": "a", "id": foreign}, {"name": "b"})
    async with market.running():
        job = await market.finished(IMPORTS, {"url": "https://files.example/x", "path": "/productOffering"})
    assert job["progress"] == {"done": 1, "failed": 1, "total": 2}
    assert foreign in job["errorLog"]
    assert 'leave out "id"' in job["errorLog"]


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "https://files.example/missing", f"{ENDPOINT}/elsewhere"]
)
async def test_content_that_cannot_be_had_fails_the_job(market: Marketplace, url: str) -> None:
    async with market.running():
        job = await market.finished(IMPORTS, {"url": url})
    assert job["status"] == "Failed"
    assert url in job["errorLog"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"path": "/nothing"}, "path: must be a resource of this API"),
        ({"contentType": "text/csv"}, "contentType: must be application/x-ndjson or"),
        ({"path": "/productOffering", "query": "nothing=1"}, "nothing"),
        ({"path": "/productOffering", "query": "limit=1"}, "query: may have only filters"),
    ],
)
async def test_a_job_that_means_nothing_is_refused_at_once(
    market: Marketplace, body: dict[str, Any], message: str
) -> None:
    answer = await market.client.post(EXPORTS, {"url": "content", **body})
    assert answer.status == 400
    assert message in answer.json()["message"]


async def test_too_many_jobs_are_refused_until_some_are_done(tmp_path: Path) -> None:
    business = await open_business(limits=Limits(jobs_unfinished_max=2))
    market = Marketplace(business, tmp_path / "jobs")
    made = [await market.created(EXPORTS, {"url": "content"}) for _ in range(2)]
    answer = await market.client.post(EXPORTS, {"url": "content"})
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    assert (await market.client.delete(made[0]["href"])).status == 204
    assert (await market.client.post(EXPORTS, {"url": "content"})).status == 201
    await business.store.close()


async def test_a_deleted_job_takes_its_content_along(market: Marketplace) -> None:
    async with market.running():
        job = await market.finished(EXPORTS, {"url": "content"})
        assert len(list(market.folder.iterdir())) == 1
        assert (await market.client.delete(job["href"])).status == 204
    assert list(market.folder.iterdir()) == []
    assert (await market.client.get(job["url"])).status == 404


async def test_deleting_a_job_that_runs_ends_it(tmp_path: Path) -> None:
    business = await open_business(limits=Limits(job_batch_max_entities=1))
    market = Marketplace(business, tmp_path / "jobs")
    job = await market.created(IMPORTS, {"url": "content", "path": "/productOffering"})
    content = lines(*({"name": str(n)} for n in range(500)))
    await market.client.request("PUT", f"{job['href']}/content", body=content, headers={"content-type": "application/x-ndjson"})  # fmt: skip

    async def has_begun() -> bool:
        return bool(await names(market))

    async def is_idle() -> bool:
        done = await market.finished(EXPORTS, {"url": "content"})  # which waits for its turn
        return bool(done["status"] == "Succeeded")

    async with market.running():
        await eventually(has_begun)
        assert (await market.client.delete(job["href"])).status == 204
        await eventually(is_idle)
    total = int((await market.client.get(f"{OFFERINGS}?limit=0")).headers["x-total-count"])
    assert 0 < total < 500
    await business.store.close()


async def test_old_contents_make_room_for_new_ones(tmp_path: Path) -> None:
    business = await open_business(limits=Limits(job_files_max=2))
    market = Marketplace(business, tmp_path / "jobs")
    async with market.running():
        made = [await market.finished(EXPORTS, {"url": "content"}) for _ in range(4)]
    assert len(list(market.folder.iterdir())) <= 2
    assert (await market.client.get(made[-1]["url"])).status == 200
    await business.store.close()


async def test_an_interrupted_import_goes_on_behind_its_last_batch(tmp_path: Path) -> None:
    limits = Limits(job_batch_max_entities=2)
    business = await open_business(tmp_path / "store.db", limits=limits)
    market = Marketplace(business, tmp_path / "jobs")
    job = await market.created(IMPORTS, {"url": "content", "path": "/productOffering"})
    content = lines(*({"name": f"{n:02}", "id": f"{n}"} for n in range(40)))
    await market.client.request("PUT", f"{job['href']}/content", body=content, headers={"content-type": "application/x-ndjson"})  # fmt: skip

    async def has_begun() -> bool:
        return len(await names(market)) >= 4

    async with market.running():
        await eventually(has_begun)
    written = len(await names(market))
    assert written < 40
    await business.store.close()

    again = await open_business(tmp_path / "store.db", limits=limits)
    market = Marketplace(again, tmp_path / "jobs")
    async with market.running():
        await market.ended(job)
    after = (await market.client.get(job["href"])).json()
    assert after["status"] == "Succeeded"
    assert after["progress"] == {"done": 40, "failed": 0, "total": 40}
    assert len(await names(market)) == 40
    creates = [one for one in await again.store.changes(0, 1000) if one.type == "ProductOffering"]
    assert len(creates) == 40  # nothing was written twice
    await again.store.close()


async def test_progress_is_reported_while_a_job_runs(tmp_path: Path) -> None:
    clock = ManualClock()
    business = await open_business(clock=clock, limits=Limits(job_batch_max_entities=1))
    market = Marketplace(business, tmp_path / "jobs")
    job = await market.created(IMPORTS, {"url": "content", "path": "/productOffering"})
    content = lines(*({"name": str(n)} for n in range(30)))
    await market.client.request("PUT", f"{job['href']}/content", body=content, headers={"content-type": "application/x-ndjson"})  # fmt: skip

    async def is_reported() -> bool:
        await clock.advance(2)
        return "progress" in (await market.client.get(job["href"])).json()

    async with market.running():
        await eventually(is_reported)
        shown = (await market.client.get(job["href"])).json()
        assert shown["progress"]["total"] == 30
        await market.ended(job)
    await business.store.close()
