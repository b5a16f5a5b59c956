"""The query parameters that filter a list: the attributes of its type (TMF630 Part 1, section 4.4)."""

from __future__ import annotations

from typing import Final

from hansa.business.models import Api, Resource
from hansa.business.openapi.parts import PARAMETERS, Part
from hansa.store.operators import OPERATORS

OPERATOR_NAMES: Final = tuple(operator.name for operator in OPERATORS)


def filters(api: Api, resource: Resource) -> list[Part]:
    """A parameter for each plain attribute, and one for all further paths and operators."""
    attributes = api.attributes_of(resource.type)
    plain = [
        {
            "name": item.name,
            "in": "query",
            "description": f"Only entities whose `{item.name}` is one of these values, separated by commas.",
            "schema": {"type": "string"},
        }
        for item in attributes.values()
        if item.type not in api.types and item.type not in {"any", "object"} and item.name not in PARAMETERS
    ]
    names = "|".join(attributes)
    operators = "|".join(OPERATOR_NAMES)
    suffixes = ", ".join(f"`.{name}`" for name in OPERATOR_NAMES)
    further: Part = {
        "name": "attributes",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": "Further filters: a dotted path of attributes, through objects and arrays, and an operator at "
        f"its end ({suffixes}), as `validFor.endDateTime.gt=2026-01-31T12:00:00Z`. A path that the type does not have "
        "is an error.",
        "schema": {
            "type": "object",
            "propertyNames": {"pattern": rf"^({names})([.][A-Za-z0-9@_]+)*([.]({operators}))?$"},
            "additionalProperties": {"type": "string"},
        },
    }
    return [*plain, further]
