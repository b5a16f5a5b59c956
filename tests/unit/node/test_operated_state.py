"""The operators' pages about settings, storage, jobs and health; and that no page tells a secret."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from hansa.business.hub.registrations import register
from hansa.core.access import Caller
from hansa.node.settings.schema import SCHEMA
from hansa.store.tables import subscriptions
from tests.support.operating import OTTO, browser_of
from tests.support.whole import Whole, open_whole
from tests.unit.node.test_operators_alone import operators_routes

SECRET_TEXT = re.compile(rb"[A-Za-z0-9_\-+/]{32,}")
PUBLIC_MEMBERS = {"kid", "x", "y", "n", "use", "kty", "crv", "alg"}


@pytest.fixture
async def market(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Whole]:
    monkeypatch.chdir(tmp_path)
    environment = {"HANSA_ISSUING": "true", "HANSA_ONBOARDING_TERMS": "1", "HANSA_LIST_LIMIT_MAX": "500"}
    async with open_whole(tmp_path / "market", environment) as made:
        yield made


async def test_every_setting_is_shown_with_its_source(market: Whole) -> None:
    operator = await browser_of(market, OTTO)
    answer = await operator.client.get("/operator/settings", headers={"accept": "application/json"})
    rows = {one["key"]: one for one in answer.json()["settings"]}
    assert rows.keys() == {one.key for one in SCHEMA}
    assert (rows["list_limit_max"]["value"], rows["list_limit_max"]["source"]) == ("500", "environment")
    assert rows["name"]["source"] == "file"
    assert rows["body_depth_max"]["source"] == "default"
    page = await operator.shows("/operator/settings?source=environment&text=LIST_LIMIT")
    assert "list_limit_max" in page
    assert "list_limit_default" not in page
    assert "member.jwk" in page


async def test_clients_that_cannot_be_read_are_no_failure(market: Whole) -> None:
    (market.folder / "clients.json").write_text("{<script>")
    page = await (await browser_of(market, OTTO)).shows("/operator/settings")
    assert "clients.json cannot be read" in page
    assert "<script>" not in page


async def test_storage_jobs_and_health_are_shown(market: Whole) -> None:
    operator = await browser_of(market, OTTO)
    path = "/tmf-api/productCatalogManagement/v4"
    await market.client.post(f"{path}/category", {"name": "x"})
    job = await market.client.post(
        f"{path}/importJob", {"url": "https://files.example/x", "path": "category"}
    )
    assert "Category" in await operator.shows("/operator/storage")
    jobs = await operator.shows("/operator/jobs")
    assert "publisher" in jobs
    assert job.status == 201
    assert job.json()["id"] in jobs
    health = await operator.shows("/operator/health")
    assert "docs_pages" in health


def secrets_in(value: object) -> Iterator[bytes]:
    """The private parts of what a file with keys holds."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name not in PUBLIC_MEMBERS:
                yield from secrets_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from secrets_in(part)
    elif isinstance(value, str):
        yield from SECRET_TEXT.findall(value.encode())


def secrets_of(folder: Path) -> set[bytes]:
    """The secrets of a marketplace's folder."""
    secrets: set[bytes] = set()
    for path in (*(folder / "keys").iterdir(), *folder.glob("ledger/config/*key*.json")):
        if path.suffix in {".jwk", ".json"}:
            secrets |= set(secrets_in(msgspec.json.decode(path.read_bytes())))
    for path in (*folder.glob("verifier/*"), *folder.glob("issuing/*")):
        content = path.read_bytes()
        if b"PRIVATE KEY" in content:
            secrets |= {one for one in SECRET_TEXT.findall(content) if b"KEY" not in one}
    return secrets


async def test_no_page_for_operators_tells_a_secret(market: Whole) -> None:
    store, limits = market.marketplace.store, market.marketplace.callers.limits
    caller = Caller("ada", frozenset({"provider"}))
    entropy = bytes(range(32)).__getitem__
    added = await register(
        store,
        caller,
        lambda size: entropy(slice(0, size)),
        limits,
        api="TMF620",
        callback="https://listener.example/x",
        query="",
    )
    secrets = secrets_of(market.folder) | {added.secret.encode()}
    assert len(secrets) >= 5
    operator = await browser_of(market, OTTO)
    for method, template in operators_routes(market):
        if method != "GET":
            continue
        path = re.sub(r"\{[a-z]+\}", added.id, template)
        for accept in ("text/html", "application/json"):
            answer = await operator.client.get(path, headers={"accept": accept})
            assert [one for one in secrets if one in answer.body] == [], path
    assert (await subscriptions.get(store, added.id)) is not None
