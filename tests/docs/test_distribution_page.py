"""The examples of docs/operators/distribution.md are valid, and decide as the page says."""

from __future__ import annotations

import re
from typing import get_args

from hansa.core.clock import SystemClock
from hansa.replication.conditions.cedar import FileName, PolicyFile, decision_cache
from hansa.replication.conditions.subject import Moment, Subject
from tests.docs.pages import page

BLOCK = re.compile(r"```cedar\n// ([a-z.]+)\n(.*?)```", re.DOTALL)
RIGA = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
LUBECK = "did:key:z6Mkother"


def examples() -> list[PolicyFile]:
    names = {name: name for name in get_args(FileName)}
    blocks = BLOCK.findall(page("docs/operators/distribution.md"))
    return [PolicyFile(names[name], text, decision_cache(), SystemClock()) for name, text in blocks]


def test_the_examples_decide_as_the_page_says() -> None:
    cloud_only, by_entity, published = examples()
    cloud = Subject(categories=("urn:ngsi-ld:category:cloud",))
    assert cloud_only.decide("retrieve", LUBECK, "ProductOffering", cloud) is None
    assert cloud_only.decide("retrieve", LUBECK, "ProductOffering", Subject()) is not None
    assert cloud_only.decide("retrieve", LUBECK, "ProductSpecification", cloud) is not None
    forbidden = cloud_only.decide("retrieve", RIGA, "ProductOffering", cloud)
    assert forbidden is not None
    assert forbidden.condition == "consume.cedar#not-riga"

    french = Subject(languages=("fr",), price_models=(), providers=(), credentials=())
    both = Subject(languages=("fr", "en"), price_models=("usage",), providers=(), credentials=())
    assert by_entity.decide("store", LUBECK, "ProductSpecification", french) is not None
    assert by_entity.decide("store", LUBECK, "ProductSpecification", both) is None
    assert by_entity.decide("store", LUBECK, "ProductOfferingPrice", both) is not None
    assert by_entity.decide("retrieve", LUBECK, "ProductOfferingPrice", Subject()) is None

    now = Moment({"fn": "datetime", "arg": "2026-06-01T00:00:00.000Z"})
    before = Moment({"fn": "datetime", "arg": "2026-05-31T00:00:00.000Z"})
    labelled = Subject("Launched", (), ("ISO27001",), ("EU",), now=now, languages=(), price_models=())
    ended = Subject("Launched", (), ("ISO27001",), ("EU",), valid_until=before, now=now, languages=())
    assert published.decide("publish", LUBECK, "ProductOffering", labelled) is None
    assert published.decide("publish", LUBECK, "ProductOffering", ended) is not None
    assert published.decide("publish", LUBECK, "ProductOffering", Subject(now=now)) is not None
    assert published.decide("publish", LUBECK, "Category", Subject(now=now)) is None
