"""What is found, in which order, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.business.search.analysis import folded, stems
from hansa.core.errors import Code, Refused
from tests.support.searching import Searched, counts, offering, texts

FAR = "did:key:zFar"
CATEGORIES: list[dict[str, Any]] = [
    {"id": "root", "@type": "Category", "name": "Platforms", "isRoot": True, "lifecycleStatus": "Launched"},
    {
        "id": "leaf",
        "@type": "Category",
        "name": "Databases",
        "parentId": "root",
        "lifecycleStatus": "Launched",
    },
]
SELLER = {"id": "acme", "role": "Seller", "name": "acme-corp"}
SPECIFICATION = {
    "id": "spec",
    "@type": "ProductSpecification",
    "name": "Relational core",
    "brand": "Quokka",
    "lifecycleStatus": "Launched",
    "productSpecCharacteristic": [
        {"name": "engine", "productSpecCharacteristicValue": [{"value": "columnar"}]},
        {"name": "Compliance:ISO27001"},
    ],
}
PRICE = {
    "id": "price",
    "@type": "ProductOfferingPrice",
    "name": "monthly",
    "priceType": "recurring",
    "price": {"unit": "EUR", "value": 49.5},
    "recurringChargePeriodType": "month",
    "lifecycleStatus": "Launched",
}
PROVIDER = {"id": "acme", "@type": "Organization", "tradingName": "Acme Corporation"}
FULL = offering(
    "full",
    "Warehouse",
    "Keeps what you measured.",
    category=[{"id": "leaf", "name": "Databases"}],
    relatedParty=[SELLER],
    productSpecification={"id": "spec"},
    productOfferingPrice=[{"id": "price"}],
    place=[{"id": "p", "name": "DE"}],
)
EVERYTHING = (*CATEGORIES, SPECIFICATION, PRICE, PROVIDER, FULL)


@pytest.mark.parametrize(
    "text",
    [
        "warehouse",
        "measured",
        "databases",
        "platforms",
        "acme",
        "corporation",
        "quokka",
        "columnar",
        "recurring",
    ],
)
async def test_an_offering_is_found_by_what_it_refers_to(searched: Searched, text: str) -> None:
    await searched.put(*EVERYTHING)
    assert (await searched.ids(text))[0] == "full"
    await searched.follower.catch_up()
    assert (await searched.ids(text))[0] == "full"


async def test_what_was_committed_is_found_though_nothing_is_indexed(searched: Searched) -> None:
    await searched.put(offering("a", "Quokka"))
    assert await searched.ids("quokka") == ["a"]
    await searched.delete("a")
    assert await searched.ids("quokka") == []


async def test_what_was_committed_after_indexing_takes_the_place_of_what_was(searched: Searched) -> None:
    await searched.put(offering("a", "Quokka"), offering("b", "Quokka too"))
    await searched.follower.catch_up()
    await searched.put(offering("a", "Wombat"))
    await searched.delete("b")
    assert await searched.ids("quokka") == []
    assert await searched.ids("wombat") == ["a"]
    await searched.follower.catch_up()
    assert await searched.ids("quokka") == []
    assert await searched.ids("wombat") == ["a"]


async def test_a_change_of_what_is_referred_to_reaches_the_documents_that_contain_it(
    searched: Searched,
) -> None:
    await searched.put(*EVERYTHING)
    await searched.follower.catch_up()
    await searched.put({**CATEGORIES[0], "name": "Marsupials"})
    await searched.follower.catch_up()
    assert (await searched.ids("marsupials"))[0] == "full"
    assert "full" not in await searched.ids("platforms")


async def test_what_comes_after_an_offering_is_found_with_it(searched: Searched) -> None:
    await searched.put(FULL)
    await searched.follower.catch_up()
    await searched.put(SPECIFICATION, *CATEGORIES)
    await searched.follower.catch_up()
    assert (await searched.ids("quokka"))[0] == "full"
    assert (await searched.ids("platforms"))[0] == "full"


async def test_offerings_come_before_what_they_consist_of(searched: Searched) -> None:
    await searched.put(*EVERYTHING, offering("other", "x", "relational core"))
    assert (await searched.ids("relational core"))[-1] == "spec"


async def test_stems_find_other_forms_and_words_as_they_are_come_first(searched: Searched) -> None:
    await searched.put(
        offering("plural", "Backups"),
        offering("single", "Backup"),
        offering("german", "Tresor", "Das ist eine Lösung für die Sicherungen und den Betrieb."),
    )
    assert await searched.ids("backup") == ["single", "plural"]
    assert await searched.ids("Sicherung") == ["german"]
    assert await searched.ids("losung") == ["german"]


async def test_a_text_in_another_language_has_no_stems(searched: Searched) -> None:
    await searched.put(offering("dutch", "x", "Het is een van de diensten voor het beheer van de databases."))
    assert await searched.ids("databases") == ["dutch"]
    page = await searched.page("dienst")
    assert page.answered_text != "dienst" or page.total == 0


@pytest.mark.parametrize("text", ["OpenTelemetry", "open telemetry", "opentelemetry", "OPENTELEMETRY"])
async def test_compounds_are_found_in_one_word_or_in_several(searched: Searched, text: str) -> None:
    await searched.put(offering("a", "OpenTelemetry"))
    assert await searched.ids(text) == ["a"]


@pytest.mark.parametrize("text", ["cert-manager", "cert manager", "certmanager", '"cert manager"'])
async def test_hyphens_make_no_difference(searched: Searched, text: str) -> None:
    await searched.put(offering("a", "cert-manager"), offering("b", "manager of certs"))
    assert (await searched.ids(text))[0] == "a"


async def test_phrases_exclusions_and_beginnings(searched: Searched) -> None:
    await searched.put(
        offering("a", "Object storage"),
        offering("b", "Storage of objects"),
        offering("c", "Object store backup"),
    )
    assert await searched.ids('"object storage"') == ["a"]
    assert set(await searched.ids("object -backup")) == {"a", "b"}
    assert set(await searched.ids("stor*")) == {"a", "b", "c"}
    assert set(await searched.ids("object sto", typing="true")) == {"a", "b", "c"}


@pytest.mark.parametrize("typed", ["kubernets", "kubernetse", "kubernetees", "kuvernetes"])
async def test_a_wrong_letter_still_finds(searched: Searched, typed: str) -> None:
    await searched.put(offering("a", "Kubernetes"))
    await searched.follower.catch_up()
    assert await searched.ids(typed) == ["a"]


async def test_what_was_searched_in_place_of_a_mistyped_word_is_said(searched: Searched) -> None:
    await searched.put(offering("a", "Kubernetes cluster"))
    await searched.follower.catch_up()
    page = await searched.page("Kuvernetes Cluster")
    assert (page.text, page.answered_text) == ("Kuvernetes Cluster", "kubernetes Cluster")
    assert page.did_you_mean == "kubernetes Cluster"


async def test_where_nothing_has_all_words_some_are_enough(searched: Searched) -> None:
    await searched.put(offering("a", "Red apple"), offering("b", "Green pear"))
    page = await searched.page("red pear")
    assert (set(await searched.ids("red pear")), page.has_all_words) == ({"a", "b"}, False)
    assert (await searched.page("red apple")).has_all_words


async def test_a_hit_is_shown_with_what_it_refers_to(searched: Searched) -> None:
    await searched.put(*EVERYTHING, origin=FAR)
    (hit,) = [one for one in (await searched.page("warehouse")).hits if one.id == "full"]
    assert hit.provider is not None
    assert hit.price is not None
    assert (hit.provider.name, [one.name for one in hit.categories]) == ("Acme Corporation", ["Databases"])
    assert (hit.price.model, hit.price.amount, hit.price.currency, hit.price.period) == (
        "recurring",
        49.5,
        "EUR",
        "month",
    )
    assert (hit.status, hit.origin, hit.compliance, hit.regions) == ("Launched", FAR, ("ISO27001",), ("DE",))
    assert hit.href.endswith("/productOffering/full")


async def test_matches_are_highlighted_by_characters(searched: Searched) -> None:
    await searched.put(offering("a", "🚀 Über-Speicher & <b>speicher</b>", "x " * 300 + "Speicher am Ende"))
    page = await searched.page("speicher")
    assert texts(page) == ["Speicher", "speicher"]
    description = page.hits[0].description
    assert description is not None
    assert description.is_excerpt
    assert [description.text[one.start : one.end] for one in description.highlights] == ["Speicher"]
    assert texts(await searched.page("uber")) == ["Über"]


async def test_facets_have_counts_labels_and_a_tree(searched: Searched) -> None:
    await searched.put(*EVERYTHING, offering("far", "Other"))
    await searched.follower.catch_up()
    page = await searched.page("", type="ProductOffering")
    assert counts(page, "category") == {"root": 1, "leaf": 1}
    assert counts(page, "price") == {"10-100": 1}
    (category,) = [one for one in page.facets if one.name == "category"]
    assert {one.value: (one.label, one.parent) for one in category.values} == {
        "root": ("Platforms", None),
        "leaf": ("Databases", "root"),
    }
    labels = {one.value: one.label for facet in page.facets for one in facet.values}
    assert (labels["acme"], labels["here"]) == ("Acme Corporation", "Lubeck")


async def test_what_a_facet_counts_is_what_selecting_its_value_finds(searched: Searched) -> None:
    await searched.put(
        *EVERYTHING,
        *(
            offering(
                f"o{n}",
                "Warehouse",
                place=[{"name": "DEFR"[n % 2 * 2 :][:2]}],
                relatedParty=[SELLER] if n % 3 else [],
            )
            for n in range(9)
        ),
    )
    await searched.follower.catch_up()
    await searched.put(offering("o3", "Warehouse", place=[{"name": "ES"}]))
    page = await searched.page("warehouse", region="DE")
    for facet in page.facets:
        for value in facet.values:
            selected = {"region": "DE", facet.name: value.value}
            assert (await searched.page("warehouse", **selected)).total == value.count, (facet.name, value)


async def test_hits_are_sorted_by_price_and_by_date(searched: Searched) -> None:
    def priced(id: str, amount: float, updated: str) -> dict[str, Any]:
        price = {"priceType": "oneTime", "price": {"taxIncludedAmount": {"unit": "EUR", "value": amount}}}
        return offering(id, "Quokka", productOfferingPrice=[price], lastUpdate=updated)

    await searched.put(
        priced("a", 5, "2020-01-02T00:00:00Z"),
        priced("b", 0, "2020-01-03T00:00:00Z"),
        priced("c", 9, "2020-01-01T00:00:00Z"),
    )
    assert await searched.ids("quokka", sort="price") == ["b", "a", "c"]
    assert await searched.ids("quokka", sort="newest") == ["b", "a", "c"]
    assert await searched.ids("", sort="newest", offset=1, limit=1) == ["a"]
    assert await searched.ids("quokka", price_from=1, price_to=5) == ["a"]
    assert counts(await searched.page("quokka"), "price_model") == {"free": 1, "oneTime": 2}


async def test_conditions_of_the_apis_select_among_the_hits(searched: Searched) -> None:
    await searched.put(
        offering("a", "Quokka", version="1.0"),
        offering("b", "Quokka", version="2.0"),
        offering("c", "x", version="2.0"),
    )
    assert await searched.ids("quokka", version="2.0") == ["b"]
    page = await searched.page("quokka", **{"version.gt": "1.0"})
    assert (page.total, counts(page, "status")) == (1, {"Launched": 1})
    for wrong in ({"noSuchAttribute": "x"}, {"fields": "name"}, {"filter": "$["}):
        with pytest.raises(Refused) as refused:
            await searched.page("quokka", **wrong)
        assert refused.value.code in {Code.INVALID, Code.MALFORMED}


async def test_suggestions_complete_the_last_word(searched: Searched) -> None:
    await searched.put(
        offering("a", "Object storage"), offering("b", "Object store"), offering("c", "Kubernetes")
    )
    await searched.follower.catch_up()
    suggested = await searched.suggested("object sto")
    assert suggested[:2] == ["object storage", "object store"]
    assert "Object storage" in suggested
    assert await searched.suggested("") == []
    assert await searched.suggested("kub") == ["kubernetes", "Kubernetes"]


async def test_over_http_everything_is_json(searched: Searched) -> None:
    await searched.put(*EVERYTHING)
    answer = await searched.client.get("/search?q=warehouse&limit=1")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json()["hits"][0]["name"] == {
        "text": "Warehouse",
        "highlights": [{"start": 0, "end": 9}],
        "is_excerpt": False,
    }
    suggested = await searched.client.get("/search/suggestions?q=ware")
    assert suggested.json()["suggestions"][0]["text"] == "Warehouse"


async def test_all_offerings_are_counted_as_if_their_type_was_not_selected(searched: Searched) -> None:
    await searched.put(*EVERYTHING)
    page = await searched.page(type="ProductOffering")
    assert ([hit.name.text for hit in page.hits], page.total) == (["Warehouse"], 1)
    assert counts(page, "type") == {
        **dict.fromkeys(("ProductOffering", "ProductSpecification", "ProductOfferingPrice"), 1),
        "Category": 2,
        "Organization": 1,
    }
    assert counts(page, "category") == {"leaf": 1, "root": 1}


LETTERS = st.text(st.sampled_from("abcdefghilmnoprstuvyzäöüßàéèêïñçœæ"), min_size=1, max_size=14)


@given(LETTERS | st.sampled_from(["öle", "äußern", "ießen", "œuvre", "æther", "ilôt", "yes", "uoio", "èa"]))
def test_a_stem_begins_with_the_letter_of_its_word(spelled: str) -> None:
    """Highlights rely on it."""
    assert {one[:1] for one in stems(spelled)} == {folded(spelled)[:1]}
