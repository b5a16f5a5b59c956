"""What a marketplace tells strangers about itself: what the ledger and the catalogue tell anyhow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hansa.cli.status import facts_of
from hansa.node.serve import metrics_address
from tests.support.asgi import AsgiClient
from tests.support.business import CATALOG, PARTY
from tests.support.whole import Whole, open_whole

PUBLIC = {
    "name", "did", "endpoint", "chain_id", "time", "status", "is_ready", "conditions", "height", "position", "app_hash", "ruleset", "rules_digest",
    "upgrade",
    "powers", "misbehavior", "peer_names", "entities",
}  # fmt: skip
INSIDE = (
    b"Individual",
    b"pid",
    b"disk",
    b"evidence",
    b"unindexed",
    b"draft",
    b"uptime",
    b"version",
    b"problem",
)


def strangers(whole: Whole) -> list[AsgiClient]:
    return [
        whole.anonymous,
        whole.with_role("reader"),
        whole.with_role("provider"),
        whole.anonymous.with_headers(cookie="a=b"),
    ]


@pytest.fixture
async def filled(whole: Whole) -> Whole:
    person = {"givenName": "Ada", "familyName": "L"}
    assert (await whole.client.post(f"{PARTY}/individual", person)).status == 201
    for status in ("Launched", "In design"):
        body = {"name": "x", "lifecycleStatus": status}
        assert (await whole.client.post(f"{CATALOG}/productOffering", body)).status == 201
    assert (await whole.client.get(f"{CATALOG}/productOffering?description=x")).status == 200
    return whole


async def test_the_command_shows_an_operator_all_and_others_where_to_get_it(filled: Whole) -> None:
    shown = [
        facts_of((await one.get("/league/v1/status")).json()) for one in (filled.client, filled.anonymous)
    ]
    assert [("here" in one, "more" in one) for one in shown] == [(True, False), (False, True)]


async def test_the_status_of_strangers_has_nothing_of_the_inside(filled: Whole) -> None:
    for client in strangers(filled):
        answer = await client.get("/league/v1/status")
        assert answer.status == 200
        assert answer.json().keys() == PUBLIC
        assert all(one["public"] for one in answer.json()["entities"])
        assert not [word for word in INSIDE if word in answer.body.replace(b"provider", b"")]


async def test_a_newcomer_reads_which_league_it_is(filled: Whole) -> None:
    chain_id = json.loads((filled.folder / "genesis.json").read_text())["chain_id"]
    assert (await filled.anonymous.get("/league/v1/status")).json()["chain_id"] == chain_id


async def test_an_operator_reads_everything(filled: Whole) -> None:
    report = (await filled.client.get("/league/v1/status")).json()
    assert report["chain_id"]
    assert {"children", "disk_free_bytes", "unindexed", "evidence", "uptime_s", "refusals"} <= report.keys()
    assert "Individual" in {one["type"] for one in report["entities"]}


async def test_a_token_that_does_not_verify_opens_nothing(filled: Whole) -> None:
    wrong = filled.anonymous.with_headers(authorization="Bearer a.b.c")
    assert (await wrong.get("/league/v1/status")).status == 401
    assert (await wrong.get("/metrics")).status == 401
    assert (await wrong.get("/readyz")).json().keys() == {"status", "conditions", "reasons"}


async def test_figures_are_for_operators(filled: Whole) -> None:
    anonymous, reader, provider, _ = strangers(filled)
    assert (await anonymous.get("/metrics")).status == 401
    for client in (reader, provider):
        answer = await client.get("/metrics")
        assert (answer.status, answer.headers["cache-control"]) == (403, "private, no-store")
    figures = await filled.client.get("/metrics")
    assert figures.status == 200
    assert b'hansa_entities{own="true",public="false",type="Individual"} 1.0' in figures.body


async def test_the_listener_of_figures_serves_them_and_nothing_else(filled: Whole) -> None:
    listener = AsgiClient(filled.marketplace.metrics)
    assert b"hansa_ready" in (await listener.get("/metrics")).body
    for path in ("/", "/league/v1/status", "/livez", "/docs", f"{PARTY}/individual"):
        assert (await listener.get(path)).status == 404


async def test_readiness_is_a_word_and_codes_for_strangers(filled: Whole) -> None:
    for client in strangers(filled):
        answer = await client.get("/readyz")
        assert answer.status == 503
        assert answer.json().keys() == {"status", "conditions", "reasons"}
        assert "The own ledger does not answer." in answer.json()["reasons"]
        assert not any("publisher" in reason for reason in answer.json()["reasons"])
        assert answer.json()["status"] == "not ready"
        assert {"task-not-running", "ledger-silent"} <= set(answer.json()["conditions"])
    answer = await filled.client.get("/readyz")
    assert any("publisher" in reason for reason in answer.json()["reasons"])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9464", ("127.0.0.1", 9464)),
        (":9464", ("127.0.0.1", 9464)),
        ("10.0.0.1:9464", ("10.0.0.1", 9464)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_figures_are_served_on_the_loopback_address_unless_another_is_named(
    text: str, address: tuple[str, int]
) -> None:
    assert metrics_address(text) == address


async def test_a_token_that_lives_longer_than_the_setting_allows_opens_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_whole(tmp_path / "lubeck", {"HANSA_TOKEN_LIFETIME_MAX_S": "60"}) as whole:
        answer = await whole.client.get(f"{PARTY}/individual")
        assert answer.status == 401
        assert "token_lifetime_max_s" in answer.json()["message"]
