"""A client generated from the official document creates, reads, lists, changes and deletes every resource."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any, Final

import pytest

from hansa.business.models import Api, load
from tests.conformance.generated_client import Calls, calls, generated, model, values
from tests.conformance.official import document
from tests.support.asgi import AsgiClient
from tests.support.business import open_business

APIS: Final = load().apis


class Client:
    """Calls one API with the generated models."""

    def __init__(self, api: Api, module: types.ModuleType, http: AsgiClient, operator: AsgiClient) -> None:
        self.base = api.base_path.rstrip("/")
        self.module = module
        self.http = http
        self.operator = operator
        self.leaves_monitors = any(resource.type == "Monitor" for resource in api.resources)
        self.ids: dict[str, str] = {}
        """An identifier for the path of a collection."""

    def address(self, path: str) -> str:
        """A path, below the parents that were created."""
        for found in re.finditer(r"\{(\w+)\}", path):
            path = path.replace(found[0], self.ids[path[: found.start()].rstrip("/")], 1)
        return self.base + path

    def parse(self, offered: Calls, body: Any) -> Any:
        """Read an answer with the generated model; the answer as it came."""
        model(self.module, offered.shown).model_validate(body)
        return body

    def body(self, offered: Calls, definition: str, *, full: bool, **more: Any) -> dict[str, Any]:
        """A body for a request, made with the generated model."""
        made = model(self.module, definition)
        chosen = values(made, model(self.module, offered.shown), full=full) | more
        sent: dict[str, Any] = made.model_validate(chosen).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        return sent

    async def create(self, offered: Calls, *, full: bool) -> Any:
        """Create an entity; its identifier."""
        assert offered.made is not None
        sent = self.body(offered, offered.made, full=full)
        headers = {"prefer": "respond-async"} if self.leaves_monitors and full else {}
        answer = await self.http.post(self.address(offered.path), sent, headers=headers)
        expected = {202} if headers else offered.created_statuses
        assert answer.status in expected, (offered.path, answer.status, answer.body, sent)
        return self.parse(offered, answer.json())["id"]

    async def fill(self, offered: Calls) -> None:
        """Let the marketplace's own systems make an entity that clients only read, unless it has a parent."""
        answer = await self.operator.post(
            self.address(offered.path), self.body(offered, offered.shown, full=True)
        )
        assert answer.status in {201, 405}, (offered.path, answer.status, answer.body)

    async def list(self, offered: Calls) -> list[Any]:
        """Read the list."""
        if "GET" not in offered.methods:
            return []
        answer = await self.http.get(self.address(offered.path))
        assert answer.status == 200, (offered.path, answer.status, answer.body)
        return [self.parse(offered, one) for one in answer.json()]

    async def read(self, offered: Calls, entity_id: str) -> Any:
        """Read one entity, and find it in the list."""
        if "GET item" not in offered.methods:
            return {}
        answer = await self.http.get(f"{self.address(offered.path)}/{entity_id}")
        assert answer.status == 200, (offered.path, answer.status, answer.body)
        assert "GET" not in offered.methods or entity_id in {one["id"] for one in await self.list(offered)}
        return self.parse(offered, answer.json())

    async def change(self, offered: Calls, entity_id: str) -> None:
        """Change an attribute that is a text; what the body has to hold beside it stays as it is."""
        if offered.changed is None:
            return
        everything = self.body(offered, offered.changed, full=True)
        plain = [name for name in everything if everything[name] == "example" and not name.startswith("@")]
        name = min(plain, key=lambda name: (name not in {"description", "name"}, name), default=None)
        standing = await self.read(offered, entity_id)
        least = self.body(offered, offered.changed, full=False)
        more = {key: standing.get(key, value) for key, value in least.items()}
        if name is not None:
            more[name] = "changed"
        sent = self.body(offered, offered.changed, full=False, **more)
        answer = await self.http.patch(f"{self.address(offered.path)}/{entity_id}", sent)
        assert answer.status == 200, (offered.path, answer.status, answer.body, sent)
        assert self.parse(offered, answer.json()).get(name, "changed") == "changed"

    async def delete(self, offered: Calls, entity_id: str) -> None:
        """Delete an entity."""
        if "DELETE item" in offered.methods:
            place = f"{self.address(offered.path)}/{entity_id}"
            answer = await self.http.delete(place)
            assert answer.status == 204, (offered.path, answer.status, answer.body)
            assert (await self.http.get(place)).status in {404, 405}


@pytest.mark.parametrize("api", APIS, ids=lambda api: api.id)
async def test_a_generated_client_works_with_every_resource(api: Api, shared: Path, tmp_path: Path) -> None:
    said = document(shared, api.id)
    business = await open_business()
    client = Client(api, generated(said, tmp_path, api.id), business.provider, business.operator)
    tried = 0
    for offered in sorted(calls(said), key=lambda one: one.made is None and one.path == "/monitor"):
        if offered.made is None:
            await client.fill(offered)
            found = await client.list(offered)
            assert found, offered.path
            client.ids[offered.path] = found[0]["id"]
            await client.read(offered, found[0]["id"])
        else:
            client.ids[offered.path] = await client.create(offered, full=False)
            for entity_id in (client.ids[offered.path], await client.create(offered, full=True)):
                await client.read(offered, entity_id)
                await client.change(offered, entity_id)
            await client.delete(offered, entity_id)
        tried += 1
    assert tried == len(api.resources)
    await business.store.close()
