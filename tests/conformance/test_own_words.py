"""The texts that describe types and attributes are our own, and cover at least what TM Forum describes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from hansa.business.descriptions import Descriptions
from hansa.business.models import Api
from tests.conformance.official import documents
from tests.support.business import MODELS

WORDS_MIN: Final = 3
"""Shorter sentences can hardly be worded in two ways."""


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, and the text as a whole, without what does not matter to their wording."""
    for sentence in (text, *re.split(r"(?<=[.;:])\s", text)):
        words = re.findall(r"\w+", sentence.lower())
        if len(words) >= WORDS_MIN:
            yield " ".join(words)


def texts(part: Any) -> Iterator[str]:
    """All descriptions and summaries within a part of a document."""
    if isinstance(part, dict):
        for key, one in part.items():
            if key in {"description", "summary"} and isinstance(one, str):
                yield one
            yield from texts(one)
    elif isinstance(part, list):
        for one in part:
            yield from texts(one)


@pytest.fixture(scope="module")
def official_sentences(shared: Path) -> frozenset[str]:
    """Every sentence with which TM Forum's documents describe something."""
    parts = (json.loads(path.read_text(encoding="utf-8")) for path in documents(shared).values())
    return frozenset(sentence for part in parts for text in texts(part) for sentence in sentences(text))


@pytest.mark.parametrize("api", MODELS.apis, ids=lambda api: api.id)
def test_no_description_is_a_sentence_of_the_official_documents(
    official_sentences: frozenset[str], api: Api
) -> None:
    own = Descriptions(api)
    described = {name: own.of_type(name) or "" for name in (*api.types, *api.enumerations, *api.lists)}
    for name in api.types:
        for attribute in api.attributes_of(name).values():
            text = own.of_attribute(name, attribute)
            assert text is not None, (name, attribute.name)
            described[f"{name}.{attribute.name}"] = text.description
    copied = {
        place: text for place, text in described.items() if not official_sentences.isdisjoint(sentences(text))
    }
    assert not copied
