"""The operators' pages about policies at a whole marketplace: what holds, and why it decides."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
import pytest

from hansa.node.folder import ACCESS_POLICIES, DECISIONS, POLICIES
from tests.support.logins import ANA
from tests.support.operating import OTTO, browser_of
from tests.support.whole import Whole

OFFERINGS = "/tmf-api/productCatalogManagement/v4/productOffering"
WHY = "/operator/policies/why"


async def offering(whole: Whole, status: str = "In study") -> str:
    created = await whole.client.post(OFFERINGS, {"name": "Amber", "lifecycleStatus": status})
    return str(created.json()["id"])


async def test_the_policies_in_force_are_shown_with_their_files(whole: Whole) -> None:
    page = await (await browser_of(whole, OTTO)).shows("/operator/policies")
    assert "default.cedar#parties-read" in page
    assert "none in policies/access" in page


async def test_a_file_that_is_not_valid_is_shown_and_changes_nothing(whole: Whole) -> None:
    (whole.folder / ACCESS_POLICIES).mkdir(parents=True)
    (whole.folder / ACCESS_POLICIES / "own.cedar").write_text("permit (<script>")
    await whole.marketplace.rights.watch.look()
    page = await (await browser_of(whole, OTTO)).shows("/operator/policies")
    assert "still hold" in page
    assert "own.cedar" in page
    assert "<script>" not in page


async def test_why_says_the_same_as_the_api(whole: Whole) -> None:
    (whole.folder / ACCESS_POLICIES).mkdir(parents=True)
    (whole.folder / ACCESS_POLICIES / "own.cedar").write_text(
        '@id("nobody") forbid (principal, action == Action::"change", resource);'
    )
    await whole.marketplace.rights.watch.look()
    entity_id, operator = await offering(whole), await browser_of(whole, OTTO)
    for action in ("read", "create", "change", "delete"):
        query = {"id": entity_id, "action": action, "organization": "VATES-12345678"}
        power = "DOME/ProductOffering/Create"
        reported = (
            await whole.client.get(f"/policies/explain?{urlencode({**query, 'power': power})}")
        ).json()
        answer = await operator.client.get(
            f"{WHY}?{urlencode({**query, 'powers': power})}", headers={"accept": "application/json"}
        )
        shown = answer.json()["decided"]
        assert shown["is_allowed"] == reported["isAllowed"], action
        assert [(one["name"], one["applies"]) for one in shown["policies"]] == [
            (one["policy"], one["applies"]) for one in reported["policies"]
        ]


async def test_why_explains_what_is_published(whole: Whole) -> None:
    (whole.folder / POLICIES).mkdir(exist_ok=True)
    (whole.folder / POLICIES / "publish.cedar").write_text(
        '@id("all") permit (principal, action, resource); '
        '@id("no-offerings") forbid (principal, action, resource == Type::"ProductOffering");'
    )
    whole.marketplace.replication.watch.look()
    entity_id, operator = await offering(whole, "Launched"), await browser_of(whole, OTTO)
    page = await operator.shows(f"{WHY}?id={entity_id}&action=publish")
    assert "publish.cedar#no-offerings" in page
    assert "Refused" in page
    assert "no-offerings" in await operator.shows("/operator/policies")
    assert "about replicas" in await operator.shows(f"{WHY}?id={entity_id}&action=store")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("id=urn:x", "There is no entity"),
        ("id=urn:x&action=publish", "There is no such entity."),
        ("id=%3Cscript%3E", "&lt;script&gt;"),
        ("id=urn:x&organization=odd", "organization is an identifier"),
        ("id=urn:x&powers=odd", "power has the form"),
    ],
)
async def test_a_question_without_an_answer_is_explained(whole: Whole, query: str, sentence: str) -> None:
    assert sentence in await (await browser_of(whole, OTTO)).shows(f"{WHY}?{query}")


async def test_an_example_names_nobody(whole: Whole) -> None:
    await browser_of(whole, ANA)
    page = await (await browser_of(whole, OTTO)).shows(WHY)
    assert "VATES-12345678" in page
    assert ANA.name not in page
    assert ANA.subject not in page


async def test_the_log_is_shown_newest_first_and_survives_what_was_cut(whole: Whole) -> None:
    path, operator = whole.folder / DECISIONS, await browser_of(whole, OTTO)
    assert "No decision" in await operator.shows("/operator/policies/decisions")
    path.parent.mkdir(exist_ok=True)
    lines = [
        msgspec.json.encode(
            {"time": "2026-11-30T12:00:00.000Z", "caller": f"c{n:03}", "organization": f"VATES-{n % 2}", "allowed": False}
        )
        for n in range(120)
    ]  # fmt: skip
    path.with_name(f"{path.name}.1").write_bytes(b"\n".join(lines[:60]) + b"\n")
    path.write_bytes(b'{"cut": \n' + b"\n".join(lines[60:]) + b"\n{\xff}\n")
    page = await operator.shows("/operator/policies/decisions")
    assert page.index("c119") < page.index("c118")
    assert "c069" not in page
    assert "c019" in await operator.shows("/operator/policies/decisions?offset=100")
    of_one = await operator.shows("/operator/policies/decisions?organization=VATES-1")
    assert "c118" not in of_one
    assert "c117" in of_one


@pytest.mark.parametrize(
    "query",
    [
        f"id={'x' * 100_000}",
        f"id={'%F0%9F%A6%8A' * 1000}",
        "id=%00%ff%fe%C0%AF&organization=%00",
        "id=%ED%A0%80&powers=%ED%A0%80/x/y",
        "id=urn:x&id=urn:y&action=read&action=delete",
        "id=urn:x&action=launch",
        "id=urn:x&role=root",
        f"id=urn:x&powers={'+'.join(['A/B/C'] * 1000)}",
        f"id=urn:x&powers={'A' * 50_000}/B/C",
        "id=urn:x&powers=A/B/C/D+//+%E2%80%AE/x/y",
        f"id=urn:x&organization={'%5B' * 400}",
        "id=urn:x&organization=did:web:%22%29%3B%20permit%28principal%2Caction%2Cresource%29",
        "&".join(f"p{number}=x" for number in range(2000)),
        "%",
    ],
)
async def test_an_odd_question_is_refused_or_has_no_answer_and_does_no_harm(whole: Whole, query: str) -> None:
    operator = await browser_of(whole, OTTO)
    answer = await operator.client.get(f"{WHY}?{query}", headers={"accept": "application/json"})
    assert answer.status in {200, 400, 414, 431}, answer.body[:300]
    if answer.status == 200:
        assert answer.json()["decided"] is None
    page = await operator.client.get(f"{WHY}?{query}", headers={"accept": "text/html"})
    assert page.status == answer.status
    assert len(page.body) < 30_000


async def test_a_question_about_a_deep_entity_is_answered(whole: Whole) -> None:
    deep: object = "x"
    for _ in range(50):
        deep = {"a": [deep]}
    body = {"name": "Deep", "lifecycleStatus": "Launched", "x-deep": deep}
    created = await whole.client.post(OFFERINGS, body)
    operator = await browser_of(whole, OTTO)
    if created.status == 201:
        for action in ("read", "delete", "publish"):
            assert "<h2" in await operator.shows(f"{WHY}?id={created.json()['id']}&action={action}")
    else:
        assert created.status == 400


async def test_what_is_of_another_organization_is_refused_to_whoever_the_question_is_about(
    whole: Whole,
) -> None:
    body = {
        "name": "Theirs",
        "lifecycleStatus": "In study",
        "relatedParty": [{"id": "VATES-99999999", "role": "Seller", "@referredType": "Organization"}],
    }
    theirs = str((await whole.client.post(OFFERINGS, body)).json()["id"])
    operator = await browser_of(whole, OTTO)
    for action in ("read", "change", "delete"):
        query = {"id": theirs, "action": action, "organization": "VATES-12345678"}
        query["powers"] = "DOME/ProductOffering/Update DOME/ProductOffering/Delete"
        answer = await operator.client.get(
            f"{WHY}?{urlencode(query)}", headers={"accept": "application/json"}
        )
        assert answer.json()["decided"]["is_allowed"] is False, action


async def test_nobody_but_operators_may_ask(whole: Whole) -> None:
    hidden = await offering(whole)
    for query in (f"id={hidden}", f"id={hidden}&role=operator", f"id={hidden}&action=publish"):
        stranger = await whole.anonymous.get(f"{WHY}?{query}", headers={"accept": "text/html"})
        provider = await (await browser_of(whole, ANA)).client.get(
            f"{WHY}?{query}", headers={"accept": "text/html"}
        )
        assert (stranger.status, provider.status) == (303, 403)
        assert b"Amber" not in stranger.body + provider.body
        assert b"Allowed" not in stranger.body + provider.body
