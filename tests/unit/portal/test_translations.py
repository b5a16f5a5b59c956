"""Translations are complete and fresh, and every text can become longer."""

from __future__ import annotations

import re

import pytest

from hansa.portal.frame.languages import NAMES, SOURCE, catalogue, catalogues
from tools.translations import LOCALE, areas, content_of, template_texts, untranslated, updated

LANGUAGES = [code for code in NAMES if code != SOURCE]
PLACE = re.compile(r"%\((\w+)\)s")
TAG = re.compile(r"<[^>]+>")


def test_all_languages_are_offered() -> None:
    assert list(catalogues()) == ["en", "es", "de", "fr", "it"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_a_file_for_each_folder_of_templates(language: str) -> None:
    assert sorted(file.stem for file in (LOCALE / language).iterdir()) == list(areas())


@pytest.mark.parametrize("area", areas())
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_has_the_texts_of_its_templates_and_translates_all_of_them(language: str, area: str) -> None:
    content = (LOCALE / language / f"{area}.po").read_text()
    catalog = updated(content, language, area)
    assert untranslated(catalog) == []
    assert content_of(catalog) == content, "run: python -m tools.translations"
    assert {str(one.id) for one in catalog if one.id} == {
        str(one.id) for one in template_texts(area) if one.id
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_has_the_same_translation_on_all_pages(language: str) -> None:
    translations: dict[str, object] = {}
    for area in areas():
        for message in updated((LOCALE / language / f"{area}.po").read_text(), language, area):
            if message.id:
                assert translations.setdefault(str(message.id), message.string) == message.string, message.id


@pytest.mark.parametrize("area", areas())
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_values_and_the_markup_of_its_text(language: str, area: str) -> None:
    for message in updated((LOCALE / language / f"{area}.po").read_text(), language, area):
        if not message.id:
            continue
        texts = [message.id] if isinstance(message.id, str) else list(message.id)
        translations = [message.string] if isinstance(message.string, str) else list(message.string or ())
        for pattern in (PLACE, TAG):
            allowed = {part for text in texts for part in pattern.findall(text)}
            for translation in translations:
                assert set(pattern.findall(str(translation))) <= allowed, message.id
            assert set(pattern.findall(str(translations[-1]))) == set(pattern.findall(texts[-1])), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_read_by_the_pages(language: str) -> None:
    assert catalogue(language).gettext("What are you looking for?") != "What are you looking for?"
