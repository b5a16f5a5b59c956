"""Filters on every attribute of every model."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from hansa.business.query import list_request
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.store import Filter
from tests.support.business import MODELS

LIMITS = Limits()
COLLECTION = "http://market.example/tmf-api/productCatalogManagement/v4/productOffering"


def test_every_attribute_of_every_resource_can_be_filtered_by_unless_it_holds_objects() -> None:
    for api in MODELS.apis:
        for resource in api.resources:
            for attribute, item in api.attributes_of(resource.type).items():
                if item.type == "object" or item.type in api.types:
                    for value in ("x", quote('[{"name":"a"}]')):
                        with pytest.raises(Refused, match="holds objects"):
                            list_request(
                                f"{attribute}={value}".encode(),
                                api,
                                resource,
                                COLLECTION,
                                LIMITS,
                                public_only=True,
                            )
                    continue
                text = f"{attribute}=x&fields={attribute}&sort=-{attribute}".encode()
                result = list_request(text, api, resource, COLLECTION, LIMITS, public_only=True)
                path = ("id",) if attribute == "href" else (attribute,)
                assert [one.path for one in result.query.filters if isinstance(one, Filter)] == [path]
                assert result.query.type == resource.collection
                assert result.query.sort[0].path == path
