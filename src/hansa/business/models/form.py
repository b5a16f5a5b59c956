"""Reads the text form of a model: one TOML file per API, meant to be read and changed by people.

    api = "TMF620"
    title = "Product Catalog Management"
    version = "4.1.0"
    base_path = "/tmf-api/productCatalogManagement/v4/"

    [resource.category]                     # the key is the path below the base path, unless `path` is set
    type = "Category"
    methods = ["list", "create", "retrieve", "patch", "delete"]      # and "replace" (PUT)
    visibility = "catalogue"                # left out: private
    status = "lifecycleStatus"              # the attribute that holds the state
    initial_status = "In study"             # left out: the marketplace sets none
    stamped_on_create = ["creationDate"]    # date-times that the marketplace sets
    stamped_on_write = ["lastUpdate"]
    stamped_on_status = ["statusChangeDate"]
    stamped_in_state = { completionDate = ["completed"] }   # when it gets one of these states
    events = ["Create", "StateChange"]      # CategoryCreateEvent, …; a name in …Event is used as it is
    lifecycle = "catalogue"                 # the state machine in `states.toml`; left out: none
    collection = "TMF908Alarm"              # where an earlier API has that type; left out: the type
    embedded = "geographicSubAddress"       # of a sub-resource held in this attribute of its parent
    operator_methods = ["create", "patch", "delete"]     # beyond the document, for own systems
    [resource.cancelProductOrder.task]      # what a task does once it is created (`records.Task`)
    done = "done"
    failed = "terminatedWithError"
    effects = [{ about = "productOrder", sets = { state = "cancelled" } }]

    [enum]
    JobStateType = ["Not Started", "Running"]

    [list]
    position = "number[2..2]"

    [type.Category]
    name = "string required"
    subCategory = "CategoryRef[]"
    lastUpdate = "date-time create-only"
    "@" = "type baseType schemaLocation"

An attribute is a type, `[]` for a list (`[1..]` and `[2..4]` bound it), and words: `required`, `returned`
(responses hold it, a create need not), `create-only`, `update-only`, `read-only`, `default=<JSON>` (of the
document), `initial=<JSON>` (ours, set when a create does not carry it), `private` (at the top of a catalogue
type: never without a token, never to other members). `"@"` lists the meta-attributes of TMF630 Part 2 that
the type has; of a resource, `@type` and `@baseType` can be set only when it is created, which needs no words.
`"@extends"` names the type whose attributes it inherits. A catalogue type has the attribute `visibleTo`
(`hansa.core.visibility`) beside its own, and `relatedParty`, by which it belongs to somebody, where the
document knows related parties and gives it none.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.business.models.records import (
    PRIMITIVES,
    Access,
    Api,
    Attribute,
    EntityType,
    Method,
    Resource,
    Task,
    Visibility,
    capitalized,
)
from hansa.core.errors import Code, Fatal
from hansa.core.parties import ATTRIBUTE as PARTIES
from hansa.core.visibility import ATTRIBUTE as VISIBLE_TO

META_TYPES: Final = {
    "type": "string",
    "baseType": "string",
    "schemaLocation": "uri",
    "referredType": "string",
    "valueSchemaLocation": "uri",
}
META_CREATE_ONLY: Final = frozenset({"@type", "@baseType"})

_ATTRIBUTE: Final = re.compile(r"(?P<type>[\w-]+)(?:\[(?:(?P<min>\d+)\.\.(?P<max>\d*))?(?P<list>\]))?")
_ACCESS: Final[dict[str, Access]] = {
    "create-only": "create-only",
    "update-only": "update-only",
    "read-only": "read-only",
}


class _ResourceForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    methods: tuple[Method, ...]
    path: str | None = None
    visibility: Visibility = "private"
    status: str | None = None
    initial_status: str | None = None
    stamped_on_create: tuple[str, ...] = ()
    stamped_on_write: tuple[str, ...] = ()
    stamped_on_status: tuple[str, ...] = ()
    stamped_in_state: dict[str, tuple[str, ...]] = {}
    events: tuple[str, ...] = ()
    lifecycle: str | None = None
    collection: str | None = None
    embedded: str | None = None
    operator_methods: tuple[Method, ...] = ()
    task: Task | None = None


class _ApiForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    api: str
    title: str
    version: str
    base_path: str
    resource: dict[str, _ResourceForm]
    type: dict[str, dict[str, str]]
    enum: dict[str, tuple[str, ...]] = {}
    list: dict[str, str] = {}


def read_model(text: str, source: str) -> Api:
    """The API that a model describes.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming `source` and what is wrong in it.
    """
    try:
        form = msgspec.convert(tomllib.loads(text), _ApiForm)
        resources = tuple(_resource(path, fields) for path, fields in form.resource.items())
        api = Api(
            id=form.api,
            title=form.title,
            version=form.version,
            base_path=form.base_path,
            resources=resources,
            types={
                name: _type(
                    *(name, lines, [one for one in resources if one.type == name]),
                    has_parties="RelatedParty" in form.type,
                )
                for name, lines in form.type.items()
            },
            enumerations=form.enum,
            lists={name: attribute(name, line) for name, line in form.list.items()},
        )
        _check(api)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{source} is not a model of an API: {error}") from error
    return api


def attribute(name: str, line: str) -> Attribute:
    """The attribute that a line of a type describes.

    Raises:
        ValueError: The line is not in the form.
    """
    head, *words = line.split(" ")
    parts = _ATTRIBUTE.fullmatch(head)
    if parts is None:
        raise ValueError(f"{name} = {line!r}: begin with a type, as in `CategoryRef[]`")
    properties: dict[str, Any] = {}
    for word in words:
        if word == "required":
            properties["is_required"] = True
        elif word == "returned":
            properties["is_always_returned"] = True
        elif word == "private":
            properties["is_private"] = True
        elif word in _ACCESS:
            properties["access"] = _ACCESS[word]
        elif word.startswith("default="):
            properties["default"] = msgspec.json.decode(word.removeprefix("default="))
        elif word.startswith("initial="):
            properties["initial"] = msgspec.json.decode(word.removeprefix("initial="))
        else:
            raise ValueError(f"{name} = {line!r}: {word!r} is not a word of the form")
    return Attribute(
        name=name,
        type=parts["type"],
        is_list=parts["list"] is not None,
        items_min=int(parts["min"] or 0),
        items_max=int(parts["max"]) if parts["max"] else None,
        **properties,
    )


def _resource(key: str, fields: _ResourceForm) -> Resource:
    path = fields.path or key
    name = path.rpartition("/")[2]
    return Resource(
        path=path,
        type=fields.type,
        methods=fields.methods,
        visibility=fields.visibility,
        status_attribute=fields.status,
        status_initial=fields.initial_status,
        stamped_on_create=fields.stamped_on_create,
        stamped_on_write=fields.stamped_on_write,
        stamped_on_status=fields.stamped_on_status,
        stamped_in_state=fields.stamped_in_state,
        events=tuple(
            event if event.endswith("Event") else f"{capitalized(name)}{event}Event"
            for event in fields.events
        ),
        lifecycle=fields.lifecycle,
        collection=fields.collection or fields.type,
        embedded=fields.embedded,
        operator_methods=fields.operator_methods,
        task=fields.task,
    )


def _type(
    name: str, lines: Mapping[str, str], resources: Sequence[Resource], *, has_parties: bool
) -> EntityType:
    attributes: dict[str, Attribute] = {}
    for key, line in lines.items():
        if key == "@":
            for meta in line.split():
                full = f"@{meta}"
                access: Access = "create-only" if resources and full in META_CREATE_ONLY else "any"
                attributes[full] = Attribute(full, META_TYPES[meta], access=access)
        elif key != "@extends":
            attributes[key] = attribute(key, line)
    if any(one.visibility == "catalogue" for one in resources):
        attributes[VISIBLE_TO] = Attribute(VISIBLE_TO, "string", is_list=True)
        if PARTIES not in attributes and has_parties:
            attributes[PARTIES] = Attribute(PARTIES, "RelatedParty", is_list=True)
    return EntityType(name, attributes, lines.get("@extends"))


def _check(api: Api) -> None:
    """Refuse a model that refers to types or attributes that it does not define."""
    if not (api.base_path.startswith("/") and api.base_path.endswith("/")):
        raise ValueError(f"base_path {api.base_path!r} needs a slash at both ends")
    known = PRIMITIVES | api.types.keys() | api.enumerations.keys() | api.lists.keys()
    used = [(name, item) for name, one in api.types.items() for item in one.attributes.values()]
    used += [("list", item) for item in api.lists.values()]
    for owner, item in used:
        if item.type not in known:
            raise ValueError(f"{owner}.{item.name} is of type {item.type!r}, which is not defined")
    for entity_type in api.types.values():
        if entity_type.extends is not None and entity_type.extends not in api.types:
            raise ValueError(f"{entity_type.name} extends {entity_type.extends!r}, which is not defined")
    for resource in api.resources:
        if resource.type not in api.types:
            raise ValueError(f"resource {resource.path} is of type {resource.type!r}, which is not defined")
        attributes = api.attributes_of(resource.type)
        for name in _attributes_named_by(resource):
            if name not in attributes:
                raise ValueError(
                    f"resource {resource.path} names {name!r}, which {resource.type} does not have"
                )


def _attributes_named_by(resource: Resource) -> tuple[str, ...]:
    """The attributes of its type that the declaration of a resource names."""
    names = (
        *(*resource.stamped_on_create, *resource.stamped_on_write, *resource.stamped_on_status),
        *resource.stamped_in_state,
    )
    if resource.status_attribute:
        names += (resource.status_attribute,)
    if (task := resource.task) is not None:
        optional = (task.reason, task.completed, task.due, task.outcome)
        names += tuple(name for name in optional if name is not None)
        names += tuple(effect.about.partition(".")[0] for effect in task.effects)
    return names
