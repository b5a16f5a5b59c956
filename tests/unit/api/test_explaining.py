"""`GET /policies/explain`: to callers about themselves, to operators about anybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.routing import Route

from hansa.api.access.explaining import EXPLAIN_PATH, ExplainApi
from hansa.node.http.application import rest_application
from tests.support.asgi import AsgiClient
from tests.support.rights import ACME, BOLT, OFFERINGS, RightsBusiness, few_models, open_rights

LAUNCHED = {"name": "Backup", "lifecycleStatus": "Launched"}


@pytest.fixture
async def market() -> AsyncIterator[RightsBusiness]:
    one = await open_rights(models=few_models("TMF620"))
    yield one
    await one.store.close()


def asked(market: RightsBusiness, name: str) -> AsgiClient:
    explains = ExplainApi(market.context, market.rights).explain
    client = AsgiClient(rest_application([Route(EXPLAIN_PATH, explains)]))
    return client if name == "stranger" else client.with_headers(authorization=name)


async def test_a_refusal_is_explained_with_what_is_missing(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, LAUNCHED)
    target = f"{EXPLAIN_PATH}?action=change&id={made['id']}"
    answer: dict[str, Any] = (await asked(market, "acme-clerk").request("GET", target)).json()
    assert (answer["isAllowed"], answer["code"], answer["policies"]) == (False, "power-missing", [])
    assert f"DOME/ProductOffering/Update of {ACME}" in answer["reason"]
    answer = (await asked(market, "acme").request("GET", target)).json()
    assert answer["isAllowed"]
    assert [one["policy"] for one in answer["policies"]] == ["default.cedar#owners-manage-what-they-offer"]


async def test_nobody_learns_of_what_it_may_not_read(market: RightsBusiness) -> None:
    draft = await market.created("acme", OFFERINGS, {**LAUNCHED, "lifecycleStatus": "In design"})
    hidden = await asked(market, "bolt").request("GET", f"{EXPLAIN_PATH}?id={draft['id']}")
    missing = await asked(market, "bolt").request("GET", f"{EXPLAIN_PATH}?id=none")
    assert (hidden.status, missing.status) == (404, 404)
    assert hidden.json()["message"].replace(draft["id"], "none") == missing.json()["message"]


async def test_only_operators_ask_about_others(market: RightsBusiness) -> None:
    made = await market.created("acme", OFFERINGS, LAUNCHED)
    of_bolt = f"{EXPLAIN_PATH}?action=change&id={made['id']}&organization={BOLT}"
    assert (await asked(market, "stranger").request("GET", of_bolt)).status == 401
    assert (await asked(market, "acme").request("GET", of_bolt)).status == 403
    answer = (await asked(market, "operator").request("GET", of_bolt)).json()
    assert (answer["isAllowed"], answer["code"]) == (False, "forbidden")
    assert len(answer["policies"]) == 7
    of_acme = of_bolt.replace(BOLT, ACME)
    answer = (await asked(market, "operator").request("GET", of_acme)).json()
    assert answer["code"] == "power-missing"
    with_power = f"{of_acme}&power=DOME/ProductOffering/Update"
    assert (await asked(market, "operator").request("GET", with_power)).json()["isAllowed"]


@pytest.mark.parametrize(
    "query", ["", "id=x&action=steal", "id=x&organization=acme", "id=x&power=x", "id=x&role=king", "x=1&id=x"]
)
async def test_a_question_that_is_none_is_refused(market: RightsBusiness, query: str) -> None:
    assert (await asked(market, "operator").request("GET", f"{EXPLAIN_PATH}?{query}")).status == 400
