"""Reads the written form of a model: one TOML file per API, meant to be read and changed by people.

    api = "TMF620"
    title = "Product Catalog Management"
    version = "4.1.0"
    base_path = "/tmf-api/productCatalogManagement/v4/"

    [resource.category]                     # the key is the path below the base path, unless `path` says otherwise
    type = "Category"
    methods = ["list", "create", "retrieve", "patch", "delete"]      # and "replace" (PUT)
    visibility = "catalogue"                # left out: private
    status = "lifecycleStatus"              # the attribute that holds the state, whatever the document calls it
    initial_status = "In study"             # left out: the marketplace sets none
    stamped_on_create = ["creationDate"]    # date-times that the marketplace sets
    stamped_on_write = ["lastUpdate"]
    stamped_on_status = ["statusChangeDate"]
    events = ["Create", "StateChange"]      # categoryCreateEvent, …; a name that ends in Event stands for itself
    lifecycle = "catalogue"                 # the state machine of `states.toml` that the status follows; left out: none
    collection = "TMF908Alarm"              # where an earlier API has a type of that name; left out: the type
    embedded = "geographicSubAddress"       # of a sub-resource that stands in this attribute of its parent
    operator_methods = ["create", "patch", "delete"]     # beyond the document, for the marketplace's own systems
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

An attribute is a type, `[]` for a list (`[1..]` and `[2..4]` bound it), and words: `required`, `returned` (answers
hold it, a create need not), `create-only`, `update-only`, `read-only`, `default=<JSON>` (of the document), `initial=<JSON>` (ours, set when
a create does not carry it), `private` (at the top of a catalogue type: never without a token, never to other members). `"@"` lists the meta-attributes
of TMF630 Part 2 that the type has; of a resource, `@type` and `@baseType` can be given only when it is created, which
needs no words. `"@extends"` names the type whose attributes it inherits.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
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
)
from hansa.core.errors import Code, Fatal

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


def read(text: str, source: str) -> Api:
    """The API that a written model describes.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming `source` and what is wrong in it.
    """
    try:
        form = msgspec.convert(tomllib.loads(text), _ApiForm)
        resources = tuple(_resource(path, written) for path, written in form.resource.items())
        api = Api(
            id=form.api,
            title=form.title,
            version=form.version,
            base_path=form.base_path,
            resources=resources,
            types={
                name: _type(name, written, any(name == resource.type for resource in resources))
                for name, written in form.type.items()
            },
            enumerations=form.enum,
            lists={name: attribute(name, written) for name, written in form.list.items()},
        )
        _check(api)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise Fatal(Code.SETTINGS_INVALID, f"{source} is not a model of an API: {error}") from error
    return api


def attribute(name: str, written: str) -> Attribute:
    """The attribute that a line of a type describes.

    Raises:
        ValueError: The line is not in the form.
    """
    head, *words = written.split(" ")
    found = _ATTRIBUTE.fullmatch(head)
    if found is None:
        raise ValueError(f"{name} = {written!r}: begin with a type, as in `CategoryRef[]`")
    facts: dict[str, Any] = {}
    for word in words:
        if word == "required":
            facts["is_required"] = True
        elif word == "returned":
            facts["is_always_returned"] = True
        elif word == "private":
            facts["is_private"] = True
        elif word in _ACCESS:
            facts["access"] = _ACCESS[word]
        elif word.startswith("default="):
            facts["default"] = msgspec.json.decode(word.removeprefix("default="))
        elif word.startswith("initial="):
            facts["initial"] = msgspec.json.decode(word.removeprefix("initial="))
        else:
            raise ValueError(f"{name} = {written!r}: {word!r} is not a word of the form")
    return Attribute(
        name=name,
        type=found["type"],
        is_list=found["list"] is not None,
        items_min=int(found["min"] or 0),
        items_max=int(found["max"]) if found["max"] else None,
        **facts,
    )


def _resource(key: str, written: _ResourceForm) -> Resource:
    path = written.path or key
    name = path.rpartition("/")[2]
    return Resource(
        path=path,
        type=written.type,
        methods=written.methods,
        visibility=written.visibility,
        status_attribute=written.status,
        status_initial=written.initial_status,
        stamped_on_create=written.stamped_on_create,
        stamped_on_write=written.stamped_on_write,
        stamped_on_status=written.stamped_on_status,
        events=tuple(event if event.endswith("Event") else f"{name}{event}Event" for event in written.events),
        lifecycle=written.lifecycle,
        collection=written.collection or written.type,
        embedded=written.embedded,
        operator_methods=written.operator_methods,
        task=written.task,
    )


def _type(name: str, written: Mapping[str, str], is_resource: bool) -> EntityType:
    attributes: dict[str, Attribute] = {}
    for key, line in written.items():
        if key == "@":
            for meta in line.split():
                full = f"@{meta}"
                access: Access = "create-only" if is_resource and full in META_CREATE_ONLY else "any"
                attributes[full] = Attribute(full, META_TYPES[meta], access=access)
        elif key != "@extends":
            attributes[key] = attribute(key, line)
    return EntityType(name, attributes, written.get("@extends"))


def _check(api: Api) -> None:
    """Refuse a model that speaks of types which it does not define."""
    if not (api.base_path.startswith("/") and api.base_path.endswith("/")):
        raise ValueError(f"base_path {api.base_path!r} needs a slash at both ends")
    known = PRIMITIVES | api.types.keys() | api.enumerations.keys() | api.lists.keys()
    used = [(name, item) for name, found in api.types.items() for item in found.attributes.values()]
    used += [("list", item) for item in api.lists.values()]
    for owner, item in used:
        if item.type not in known:
            raise ValueError(f"{owner}.{item.name} is of type {item.type!r}, which is not defined")
    for found in api.types.values():
        if found.extends is not None and found.extends not in api.types:
            raise ValueError(f"{found.name} extends {found.extends!r}, which is not defined")
    for resource in api.resources:
        if resource.type not in api.types:
            raise ValueError(f"resource {resource.path} is of type {resource.type!r}, which is not defined")
        attributes = api.attributes_of(resource.type)
        for name in _spoken_of(resource):
            if name not in attributes:
                raise ValueError(
                    f"resource {resource.path} speaks of {name!r}, which {resource.type} does not have"
                )


def _spoken_of(resource: Resource) -> tuple[str, ...]:
    """The attributes of its type that a resource speaks of."""
    found = (*resource.stamped_on_create, *resource.stamped_on_write, *resource.stamped_on_status)
    if resource.status_attribute:
        found += (resource.status_attribute,)
    if (task := resource.task) is not None:
        named = (task.reason, task.completed, task.due, task.outcome)
        found += tuple(name for name in named if name is not None)
        found += tuple(effect.about.partition(".")[0] for effect in task.effects)
    return found
