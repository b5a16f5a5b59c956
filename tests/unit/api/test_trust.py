"""Trusted issuers in EBSI's form, and what else the members decided to trust, as strangers read it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hansa.core.trust.issuers import (
    TRUSTED_ISSUER,
    TRUSTED_ISSUERS,
    AllowedClaim,
    CredentialGrant,
    TrustedIssuer,
)
from hansa.core.trust.policies import DISTRIBUTION, POLICIES, POLICY_TABLE, PolicyRow, PolicyTable
from tests.support.league import League

V4, V5 = "/trusted-issuers-registry/v4/issuers", "/trusted-issuers-registry/v5/issuers"
ISSUER = TrustedIssuer(
    (
        CredentialGrant(
            1_500_658_348,
            "LEARCredentialEmployee",
            1_893_456_000,
            (AllowedClaim("roles", "$.roles[*].names[*]", ("seller", "buyer")),),
        ),
        CredentialGrant(0, "LEARCredentialMachine", 253_402_300_799),
    ),
    "did:elsi:VATES-12345678",
)


def record(league: League, section: str, key: str, body: bytes) -> None:
    """Put a record into the state that the marketplaces of a league read."""
    connection = league.ledger.application.state.connection
    connection.execute("INSERT INTO record (section, key, body) VALUES (?, ?, ?)", (section, key, body))


@pytest_asyncio.fixture
async def league() -> AsyncIterator[League]:
    async with League(["lubeck", "bergen"]) as league:
        record(league, TRUSTED_ISSUERS, ISSUER.did, TRUSTED_ISSUER.write(ISSUER))
        for number in range(24):
            one = TrustedIssuer(ISSUER.credentials[1:], f"did:elsi:NTRGB-{number:03}")
            record(league, TRUSTED_ISSUERS, one.did, TRUSTED_ISSUER.write(one))
        yield league


async def get(league: League, target: str, status: int = 200) -> Any:
    answer = await league.marketplaces[0].client.get(target)
    assert answer.status == status, answer.body
    return answer.json()


def recorded(shared: Path, name: str) -> Any:
    folder = shared / "vectors/openvc-fixtures/tests/fixtures/ebsi"
    return json.loads((folder / f"tir_v5_{name}.json").read_text())


async def test_an_issuer_and_its_attributes_have_the_form_that_ebsi_serves(
    league: League, shared: Path
) -> None:
    issuer = await get(league, f"{V5}/{ISSUER.did}")
    assert issuer.keys() == recorded(shared, "issuer").keys()
    endpoint = league.marketplaces[0].endpoint
    assert issuer["attributes"] == f"{endpoint}{V5}/{ISSUER.did}/attributes"
    attributes = await get(league, f"{V5}/{ISSUER.did}/attributes")
    example = recorded(shared, "attributes")
    assert attributes.keys() == example.keys()
    assert attributes["links"].keys() == example["links"].keys()
    assert attributes["items"][0].keys() == example["items"][0].keys()
    assert attributes["total"] == 2
    one = await get(league, f"{V5}/{ISSUER.did}/attributes/{attributes['items'][0]['id']}")
    revision = next(iter(recorded(shared, "revisions").values()))
    assert one.keys() == revision.keys()
    assert one["attribute"].keys() == revision["attribute"].keys()
    body = one["attribute"]["body"]
    assert one["attribute"]["hash"] == hashlib.sha256(body.encode()).hexdigest()


async def test_version_4_has_the_attributes_that_fiware_s_verifier_reads(league: League) -> None:
    answer = await get(league, f"{V4}/{ISSUER.did}")
    assert answer["did"] == ISSUER.did
    first, second = (json.loads(base64.b64decode(one["body"])) for one in answer["attributes"])
    assert first["credentialsType"] == "LEARCredentialEmployee"
    assert first["validFor"] == {"from": "2017-07-21T17:32:28.000Z", "to": "2030-01-01T00:00:00.000Z"}
    assert first["claims"] == [
        {"name": "roles", "path": "$.roles[*].names[*]", "allowedValues": ["seller", "buyer"]}
    ]
    assert second["claims"] == []


@pytest.mark.parametrize("path", [V4, V5])
async def test_all_issuers_are_met_by_following_the_pages(league: League, path: str) -> None:
    seen: list[str] = []
    target = f"{path}?page[size]=10"
    while True:
        page = await get(league, target)
        seen += [item["did"] for item in page["items"]]
        assert page["total"] == 25
        following = page["links"]["next"].partition(path)[2]
        if page["self"] == page["links"]["last"]:
            break
        target = path + following
    assert seen == sorted({*seen})
    assert len(seen) == 25
    assert (await get(league, f"{path}?page[after]=7"))["items"] == []


async def test_an_issuer_that_is_not_trusted_is_answered_with_a_problem(league: League, shared: Path) -> None:
    example = recorded(shared, "issuer_404_problem")
    for path in (f"{V4}/did:elsi:VATES-0", f"{V5}/did:elsi:VATES-0", f"{V5}/did:elsi:VATES-0/attributes"):
        problem = await get(league, path, 404)
        assert problem.keys() == example.keys()
        assert problem["title"] == example["title"]
        assert problem["detail"] == "Issuer did:elsi:VATES-0 not found"
    await get(league, f"{V5}/{ISSUER.did}/attributes/{'0' * 64}", 404)


@pytest.mark.parametrize(
    "query",
    [
        "page[size]=0",
        "page[size]=51",
        "page[after]=0",
        "page[after]=x",
        "page=1",
        "page[size]=5&page[size]=6",
    ],
)
async def test_a_query_that_is_not_understood_is_refused(league: League, query: str) -> None:
    await get(league, f"{V5}?{query}", 400)


async def test_what_a_client_has_already_is_not_sent_again(league: League) -> None:
    client = league.marketplaces[0].client
    for target in (V4, V5, f"{V4}/{ISSUER.did}", f"{V5}/{ISSUER.did}/attributes"):
        tag = (await client.get(target)).headers["etag"]
        again = await client.with_headers(**{"if-none-match": f'"x", W/{tag}'}).get(target)
        assert (again.status, again.body) == (304, b"")
        other = await client.with_headers(**{"if-none-match": '"x"'}).get(target)
        assert other.status == 200


async def test_policies_are_shown_as_they_stand(league: League) -> None:
    assert await get(league, "/league/v1/policies") == {"rows": []}
    table = PolicyTable((PolicyRow("allow", labels=("EU-Cloud-CoC",), types=("ProductOffering",)),))
    record(league, POLICIES, DISTRIBUTION, POLICY_TABLE.write(table))
    (row,) = (await get(league, "/league/v1/policies"))["rows"]
    assert row["labels"] == ["EU-Cloud-CoC"]


async def test_a_league_that_trusts_nobody_says_so() -> None:
    async with League(["lubeck"]) as league:
        for target in (V4, V5):
            page = await get(league, target)
            assert (page["items"], page["total"]) == ([], 0)
            assert page["links"]["last"] == page["self"]
        assert await get(league, "/league/v1/anchors") == []
        assert (await get(league, "/league/v1/certificates"))["total"] == 0
