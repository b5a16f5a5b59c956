"""Every collection, asked by every kind of caller: nobody is shown or lets be written what is not theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hansa.core.canonical import canonical_json, hashlink
from hansa.store import EntityDraft
from tests.support.business import MODELS
from tests.support.rights import ACME, CALLERS, RightsBusiness, open_rights, party

NAMES = ("stranger", "reader", "provider", "operator", "acme", "acme-clerk", "bolt", "city")
FORBIDDING = {"x.cedar": '@id("x") forbid (principal, action, resource) when { resource.status == "x" };'}


@pytest.fixture(params=["shipped", "own"])
async def market(request: pytest.FixtureRequest) -> AsyncIterator[RightsBusiness]:
    one = await open_rights(FORBIDDING if request.param == "own" else None)
    drafts = []
    for api in MODELS.apis:
        for resource in api.resources:
            if resource.parent_name is None:
                fields = {"id": f"of-{resource.collection}", "@type": resource.type}
                if "relatedParty" in api.attributes_of(resource.type):
                    fields["relatedParty"] = [party(ACME)]  # type: ignore[assignment]
                body = canonical_json(fields)
                drafts.append(
                    EntityDraft(str(fields["id"]), resource.collection, body, hashlink(body), False)
                )
    await one.put(*drafts)
    yield one
    await one.store.close()


async def test_what_is_private_is_shown_to_its_parties_and_to_tokens(market: RightsBusiness) -> None:
    for api in MODELS.apis:
        for resource in api.resources:
            if resource.parent_name is not None or not {"list", "retrieve"} <= {*resource.methods}:
                continue
            target = f"{api.base_path}{resource.path}"
            has_parties = "relatedParty" in api.attributes_of(resource.type)
            for name in NAMES:
                one = await market.as_(name).request("GET", f"{target}/of-{resource.collection}")
                listed = await market.as_(name).request("GET", target)
                sees = name in {"reader", "provider", "operator"} or (name.startswith("acme") and has_parties)
                if sees:
                    assert (one.status, len(listed.json())) == (200, 1), (target, name)
                else:
                    assert one.status in {401, 403, 404}, (target, name)
                    assert listed.status in {401, 403} or listed.json() == [], (target, name)


async def test_nothing_of_others_is_written(market: RightsBusiness) -> None:
    merge = {"content-type": "application/merge-patch+json"}
    for api in MODELS.apis:
        for resource in api.resources:
            if resource.parent_name is not None:
                continue
            target = f"{api.base_path}{resource.path}"
            entity = f"{target}/of-{resource.collection}"
            for name in ("stranger", "reader", "acme-clerk", "bolt", "city"):
                client = market.as_(name)
                for method in ("PATCH", "DELETE"):
                    body = {"description": "x"} if method == "PATCH" else None
                    answer = (
                        await client.request(method, entity, body, headers=merge)
                        if body
                        else await client.request(method, entity)
                    )
                    assert answer.status in {401, 403, 404, 405}, (entity, name, answer.body)
                if name in {"stranger", "reader"}:
                    assert (await client.request("POST", target, {})).status in {401, 403, 405}
                else:
                    answer = await client.request("POST", target, {})
                    assert answer.status in {201, 400, 403, 404, 405, 422}, (target, name)
                    if answer.status == 201:
                        assert name != "acme-clerk"
                        assert resource.task is None
                        owned = {party["id"] for party in answer.json()["relatedParty"]}
                        assert owned == {f"did:elsi:{CALLERS[name].organization}"}


async def test_below_what_is_hidden_nothing_is_shown(market: RightsBusiness) -> None:
    for api in MODELS.apis:
        for resource in api.resources:
            parent = resource.parent_name
            if parent is None or not {"list", "retrieve"} <= {*resource.methods}:
                continue
            above = next(one for one in api.resources if one.path == parent)
            path = resource.path.replace(resource.path.split("/")[1], f"of-{above.collection}", 1)
            for name in ("stranger", "acme-clerk", "bolt", "city"):
                has_parties = "relatedParty" in api.attributes_of(above.type)
                answer = await market.as_(name).request("GET", f"{api.base_path}{path}")
                if name == "acme-clerk" and has_parties:
                    assert answer.status == 200, path
                else:
                    assert answer.status in {401, 403, 404}, (path, name, answer.body)
