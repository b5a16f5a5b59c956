"""Words that come from models and code, in the language of the reader."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hansa.portal.frame.frame import environment_of
from hansa.portal.frame.languages import catalogues
from hansa.portal.providers.offers.launching import LaunchCondition
from tests.support.provider_site import open_provider_site

GERMAN = environment_of(catalogues()["de"]())
RULES = {
    "amount": ({"amount": "much", "currency": "EUR"}, "Das muss eine Zahl sein."),
    "tax": ({"amount": "1", "currency": "EUR", "tax": "x"}, "Das muss eine Zahl sein."),
}
CONDITIONS = {
    "next": (
        LaunchCondition("status", False, reason="next", value="In study", following=("In design",)),
        "Es ist in Prüfung; vor einem Start muss es werden: im Entwurf",
    ),
    "last": (LaunchCondition("status", False, reason="last", value="Obsolete"), "nichts kann folgen"),
    "ended": (
        LaunchCondition("period", False, False, reason="ended", value="2026-11-01T00:00:00Z"),
        "Seine Gültigkeit endete 01.11.2026",
    ),
    "of code alone": (
        LaunchCondition("rule", False, detail="The policy x forbids it."),
        "The policy x forbids",
    ),
}


@pytest.mark.parametrize("field", RULES)
async def test_what_a_field_has_to_be_is_said_in_the_readers_language(field: str) -> None:
    site = await open_provider_site()
    fields, words = RULES[field]
    draft = await site.begun("acme", "price", name="Price")
    await site.post("acme", f"{draft}/amount", {"do": "next", "model": "oneTime", **fields})
    page = (await site.get("acme", f"{draft}/amount?check=1&lang=de")).body.decode()
    assert words in page
    assert "must be" not in page
    await site.store.close()


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_that_is_not_met_is_said_in_the_readers_language(name: str) -> None:
    condition, words = CONDITIONS[name]
    template = GERMAN.from_string(
        '{% from "providers/words.html" import condition_words with context %}{{ condition_words(one) }}'
    )
    assert words in template.render(one=condition, reader=SimpleNamespace(locale="de"))


def test_states_are_words_and_an_unknown_one_is_as_it_is() -> None:
    template = GERMAN.from_string(
        '{% from "providers/words.html" import state_word with context %}{{ state_word(one) }}'
    )
    assert template.render(one="Retired").strip() == "zurückgezogen"
    assert "<b>" not in template.render(one="<b>odd</b>")
