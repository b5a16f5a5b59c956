"""What the types and attributes of the models mean, in words for people: texts, units and examples.

The models (`hansa.business.models`) say what is valid and are read at the start. The texts say what it means.
They are read for one API when somebody requests its description, and are not kept.

`names.toml` says what attributes of one name mean in every type; `shared.toml` describes types that several
APIs have, and the file of an API those that it alone has:

    [ProductOfferingPrice]
    _ = "A price of an offering: an amount, when it is due, and to what it applies."       # the type itself
    recurringChargePeriodLength = "How many periods lie between two charges. | 1"

    [ProductOfferingPriceRefOrValue]
    _as = "ProductOfferingPrice"        # attributes that are not described here mean what they mean there

A text ends in a full stop. Examples follow it, each after ` | `: of a string as they are, of other types as
JSON. A date-time or an address without an example of its own gets one. In `names.toml` and the examples stand

    {noun}      the words of the type: "product offering"; of a reference, those of what it refers to
    {type}      the name of the type: ProductOfferingRef
    {base}      the same without `Ref` and `RefOrValue`: ProductOffering
    {kebab}     that in an identifier: product-offering
    {path}      the path at which the API serves the type, when it does

What this marketplace does with an attribute (sets it, refuses a change, publishes it) follows from the models
and is added to the text.

The text of an attribute is the first of: that of its type in the file of the API, in `shared.toml`, of the
type that `_as` names, of the types that it extends; then in `names.toml` that for what kind of type it is
(`[resource]`, `[reference]`), and that for all (`[name]`). A test demands one for each attribute there is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final

import msgspec

from hansa.business.models import PUBLIC_STATUSES, Api, Attribute, Resource

SEPARATOR: Final = " | "
ITSELF: Final = "_"
"""Key of the text of a type itself."""
LIKE: Final = "_as"
"""Key of the name of a type whose texts a type shares."""
CATALOGUE: Final = "catalogue"
"""Name of the state machine whose public states are those of every catalogue."""
FILES_REMEMBERED_MAX: Final = 4
"""The two that every API needs, and its own: one API is described after the other."""
DEFAULT_EXAMPLES: Final[Mapping[str, str]] = {
    "date-time": "2026-01-31T12:00:00Z",
    "uri": "https://market.example/about",
    "base64": "ZXhhbXBsZQ==",
}
_REFERENCE: Final = re.compile(r"(?<=.)(?:RefOrValue|Ref)$")
_IN_PATH: Final = re.compile(r"\{\w+\}")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+")

Table = Mapping[str, Mapping[str, str]]


class AttributeText(msgspec.Struct, frozen=True):
    """What an attribute or a type means."""

    description: str
    examples: tuple[Any, ...] = ()


class Descriptions:
    """The texts of one API."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._names = texts_of("names")
        self._types = (texts_of(api.id.lower()), texts_of("shared"))
        self._resources = {resource.type: resource for resource in api.resources}

    def of_type(self, name: str) -> str | None:
        """What a type, an enumeration or a list is; None when that is not described."""
        for table in self._types:
            if text := table.get(name, {}).get(ITSELF):
                return text
        return None

    def of_attribute(self, type_name: str, attribute: Attribute) -> AttributeText | None:
        """What an attribute of a type means, with examples of its values; None when it is not described."""
        form = next((form for form in self._forms(type_name, attribute.name)), None)
        if form is None:
            return None
        description, *examples = self._filled(form, type_name).split(SEPARATOR)
        resource = self._resources.get(type_name)
        more = _rules(resource, attribute) if resource is not None else ()
        return AttributeText(" ".join((description, *more)), self._examples(attribute, examples))

    def _forms(self, type_name: str, name: str) -> Iterator[str]:
        """All texts that apply, the most special one first."""
        tables = [table.get(one, {}) for one in self._alike(type_name) for table in self._types]
        if _REFERENCE.search(type_name):
            tables.append(self._names["reference"])
        elif type_name in self._resources:
            tables.append(self._names["resource"])
        tables.append(self._names["name"])
        return (table[name] for table in tables if name in table)

    def _alike(self, type_name: str) -> Iterator[str]:
        """The type, the one whose texts it shares, and those that it extends."""
        one: str | None = type_name
        while one is not None:
            yield one
            for table in self._types:
                if like := table.get(one, {}).get(LIKE):
                    yield from self._alike(like)
            entity_type = self._api.types.get(one)
            one = entity_type.extends if entity_type is not None else None

    def _filled(self, form: str, type_name: str) -> str:
        if "{" not in form:
            return form
        base = _REFERENCE.sub("", type_name)
        resource = self._resources.get(type_name)
        words = [word if word.isupper() else word.lower() for word in _WORD.findall(base)]
        noun = self._names["noun"].get(type_name) or " ".join(words)
        values = {
            "{noun}": noun,
            "{type}": type_name,
            "{base}": base,
            "{kebab}": "-".join(words).lower(),
            "{path}": self._api.base_path + _IN_PATH.sub("1", resource.path) if resource is not None else "",
        }
        for name, value in values.items():
            form = form.replace(name, value)
        return form

    def _examples(self, attribute: Attribute, examples: list[str]) -> tuple[Any, ...]:
        """The examples as values of the attribute; a list has lists as examples."""
        kind = attribute.type
        if not examples and kind in DEFAULT_EXAMPLES:
            examples = [DEFAULT_EXAMPLES[kind]]
        values: list[Any] = []
        for text in examples:
            if kind in self._api.types or kind in self._api.lists or kind == "object":
                continue  # the text was written for a plain attribute of that name
            words = self._api.enumerations.get(kind)
            if words and text not in words:
                continue  # for an attribute of that name without an enumeration
            value = _value(kind, text)
            if value is not None:
                values.append([value] if attribute.is_list else value)
        return tuple(values)


def _rules(resource: Resource, attribute: Attribute) -> Iterator[str]:
    """What this marketplace does with an attribute of a type that it serves, in sentences."""
    name = attribute.name
    is_stamped = True
    if name in resource.stamped_on_write:
        yield "This marketplace sets it with each change."
    elif name in resource.stamped_on_create:
        yield "This marketplace sets it when the entity is created."
    elif name in resource.stamped_on_status:
        yield "This marketplace sets it when the status changes."
    elif states := resource.stamped_in_state.get(name):
        texts = " or ".join(f"`{state}`" for state in states)
        yield f"This marketplace sets it when the entity becomes {texts}, unless it is set."
    else:
        is_stamped = False
    if name == resource.status_attribute:
        yield from _state_rules(resource)
    if attribute.is_private:
        yield "Only callers with a token see it, and it is not published to other members."
    if attribute.access == "create-only" and not is_stamped:
        yield "It is set by the create and does not change."
    elif attribute.access == "update-only":
        yield "It cannot be set by the create."


def _state_rules(resource: Resource) -> Iterator[str]:
    """What this marketplace does with the attribute that holds the state of an entity."""
    if resource.status_initial is not None:
        yield f"A create without it gets `{resource.status_initial}`."
    if resource.lifecycle is not None:
        yield "A change to a state that cannot follow the present one is refused."
    if resource.visibility == "catalogue" and resource.lifecycle == CATALOGUE:
        public = ", ".join(f"`{status}`" for status in sorted(PUBLIC_STATUSES))
        yield f"Entities at {public} are public and published; at all other stages they stay in this marketplace."


def _value(kind: str, text: str) -> Any:
    """An example as a value of a primitive type; None when it is none."""
    if kind in {"boolean", "integer", "number", "any"}:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text if kind == "any" else None
        return value
    return text


@lru_cache(FILES_REMEMBERED_MAX)
def texts_of(name: str) -> Table:
    """All texts of one file, by type and attribute; none when there is no such file."""
    path = files(__name__).joinpath(f"{name}.toml")
    tables = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return MappingProxyType({type_name: MappingProxyType(texts) for type_name, texts in tables.items()})
