"""The records of a model: an API, its resources, their types, attributes, methods and events."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, Literal, Self

import msgspec

from hansa.business.models.fixed_structs import FixedStruct
from hansa.business.models.lifecycles import Lifecycle
from hansa.business.models.references import References
from hansa.core.errors import Code, Fatal, Refused

Access = Literal["any", "create-only", "update-only", "read-only"]
"""The bodies of a client in which an attribute may appear: a create, an update, both or neither."""

Visibility = Literal["catalogue", "private"]
"""`catalogue`: readable without a token and published, unless the lifecycle says that it is a draft."""

Method = Literal["list", "retrieve", "create", "patch", "replace", "delete"]

PRIMITIVES: Final = frozenset(
    {"string", "uri", "date-time", "base64", "boolean", "integer", "number", "object", "any"}
)
"""Types that need no definition. `object` and `any` may hold whatever JSON can."""

LIFECYCLE_STATUS: Final = "lifecycleStatus"
"""The status attribute that decides what is public; `status` and `state` of other types do not."""

PUBLIC_STATUSES: Final = frozenset({"Launched", "Retired", "Obsolete"})
"""Lifecycle statuses of public entities of every catalogue, spelt exactly so.

A state machine may have further ones.
"""


def capitalized(name: str) -> str:
    """A name with a capital: `productOffering` in a path is `ProductOffering` in names of events."""
    return name[:1].upper() + name[1:]


class Attribute(msgspec.Struct, frozen=True):
    """One attribute of a type."""

    name: str
    type: str
    """A primitive, or the name of a type, enumeration or list type of the same API."""
    is_list: bool = False
    items_min: int = 0
    items_max: int | None = None
    is_required: bool = False
    """A create must carry it (of a type that is no resource: whoever writes such a value)."""
    is_always_returned: bool = False
    """The document requires it in responses although a create need not carry it."""
    access: Access = "any"
    is_private: bool = False
    """At the top of a catalogue type: only callers with a token see it, and it stays in this marketplace."""
    default: object = None
    """Value that the document defines for when a create does not carry the attribute."""
    initial: object = None
    """Value that this marketplace sets then, where the document defines none but has it in responses."""

    @property
    def on_create(self) -> object:
        """Value of the attribute when a create does not carry it; None for no value."""
        return self.default if self.default is not None else self.initial


class EntityType(FixedStruct, frozen=True):
    """A type of JSON objects."""

    name: str
    attributes: Mapping[str, Attribute]
    extends: str | None = None


class Effect(FixedStruct, frozen=True, forbid_unknown_fields=True):
    """The effect of a task on the entities to which it refers."""

    about: str
    """Dotted path to their references in the task, also through arrays, as `stockItem.productStockTarget`."""
    sets: Mapping[str, object]
    """Attributes that are set, dotted for nested ones.

    A value is used as it is, except these: `{from = "ackUserId"}` is the value in the task (or in its item
    that holds the reference); `add` and `subtract` change a quantity by the one there; `append` adds an
    element to an array, `refer` a reference, and `unrefer` removes that again.
    """


class Task(FixedStruct, frozen=True, forbid_unknown_fields=True):
    """What the entities of a task resource do when they are created (TMF630 Part 1, chapter 8)."""

    effects: tuple[Effect, ...] = ()
    done: str | None = None
    """State of a task that was performed; None when tasks have no state."""
    failed: str | None = None
    """State of a task that could not be performed."""
    reason: str | None = None
    """Attribute for the reason why it could not."""
    completed: str | None = None
    """Date-time attribute that is set when it was performed."""
    due: str | None = None
    """Date-time attribute before which it is not performed."""
    outcome: str | None = None
    """Attribute for the list of the entities that were changed."""
    items: Mapping[str, object] = {}
    """Attributes that are set in the items that hold the references, when it was performed."""
    matches: str | None = None
    """Collection in which references are patterns: each matches every entity with its attributes."""


class Resource(FixedStruct, frozen=True):
    """A resource: what is served at one path of an API."""

    path: str
    """Below the base path, as `productOffering` or `topic/{topicId}/event`."""
    type: str
    methods: tuple[Method, ...]
    visibility: Visibility = "private"
    status_attribute: str | None = None
    status_initial: str | None = None
    lifecycle: str | None = None
    """Name of the state machine (`states.toml`) that its status attribute follows."""
    collection: str = ""
    """Name of its entities' collection in store and ledger: the type, unless another API has that too."""
    embedded: str | None = None
    """Attribute of the parent that holds the entities of this sub-resource.

    None when they are stored by themselves.
    """
    operator_methods: tuple[Method, ...] = ()
    """Methods beyond the document, for records that the marketplace's own systems write (role operator)."""
    task: Task | None = None
    """Of a task resource, its effects."""
    stamped_on_create: tuple[str, ...] = ()
    """Date-times that this marketplace sets when the entity is created."""
    stamped_on_write: tuple[str, ...] = ()
    """Date-times that this marketplace sets whenever the entity changes."""
    stamped_on_status: tuple[str, ...] = ()
    """Date-times that this marketplace sets when the entity gets a status, and whenever that changes."""
    stamped_in_state: Mapping[str, tuple[str, ...]] = {}
    """Date-times that this marketplace sets when the entity gets one of these states, unless they are set."""
    events: tuple[str, ...] = ()
    """Exact names as they are sent, as `ProductOfferingStateChangeEvent`."""

    @property
    def name(self) -> str:
        """Last segment of the path, and the name of the payload of its events."""
        return self.path.rpartition("/")[2]

    @property
    def parent_name(self) -> str | None:
        """Of a sub-resource, the name of its parent, which its path begins with."""
        return self.path.split("/", 1)[0] if "{" in self.path else None

    @property
    def has_lifecycle(self) -> bool:
        """Whether a lifecycle status decides which of its entities are public."""
        return self.status_attribute == LIFECYCLE_STATUS


class Api(FixedStruct, frozen=True, eq=False):
    """One TM Forum Open API; equal to itself alone, so that what is made of it can be looked up by it."""

    id: str
    """As `TMF620`."""
    title: str
    version: str
    base_path: str
    """With slashes at both ends."""
    resources: tuple[Resource, ...]
    types: Mapping[str, EntityType]
    enumerations: Mapping[str, tuple[str, ...]]
    lists: Mapping[str, Attribute]
    """Types that are lists, as the positions of GeoJSON."""
    extensions: Mapping[str, Mapping[str, Attribute]] = {}
    """By type, attributes that the operator's schemas give to types that extend it; of "", to any."""

    def further_attributes_of(self, type_name: str) -> Mapping[str, Attribute]:
        """Attributes that types have which extend a type: those of the document, and the operator's."""
        further = {**self.extensions.get("", {}), **self.extensions.get(type_name, {})}
        for one in self.types.values():
            above = one.extends
            while above is not None and above != type_name:
                above = self.types[above].extends
            if above is not None:
                further |= one.attributes
        return further

    def attributes_of(self, type_name: str) -> Mapping[str, Attribute]:
        """All attributes of a type, inherited ones too."""
        entity_type = self.types[type_name]
        if entity_type.extends is None:
            return entity_type.attributes
        return {**self.attributes_of(entity_type.extends), **entity_type.attributes}

    def required_of(self, type_name: str, *, is_whole: bool) -> tuple[str, ...]:
        """The attributes that a value of a type must have.

        Of a type that is served, a create must carry them, but not a value within another entity; `id` and
        `href` are set by this marketplace.
        """
        is_served = any(resource.type == type_name for resource in self.resources)
        if is_served and not is_whole:
            return ()
        set_here = {"id", "href"} if is_served else set()
        attributes = self.attributes_of(type_name)
        return tuple(name for name, one in attributes.items() if one.is_required and name not in set_here)

    def demanded_in_create(self, resource: Resource) -> frozenset[str]:
        """Required attributes of a resource that this marketplace does not set in every new entity."""
        set_here = {"@type", *resource.stamped_on_create, *resource.stamped_on_status}
        if resource.status_initial is not None and resource.status_attribute is not None:
            set_here.add(resource.status_attribute)
        attributes = self.attributes_of(resource.type)
        required = self.required_of(resource.type, is_whole=True)
        return frozenset(
            name for name in required if name not in set_here and attributes[name].on_create is None
        )


class Models:
    """All APIs that are served, and look-ups by type and collection."""

    def __init__(
        self,
        apis: tuple[Api, ...],
        lifecycles: Mapping[str, Lifecycle] | None = None,
        references: str = "",
    ) -> None:
        """Combine models.

        Args:
            apis: What is served.
            lifecycles: State machines, by the names that the resources use.
            references: Text of `references.toml`; without it, only names decide.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when they contradict each other.
        """
        self._apis = apis
        self._lifecycles = lifecycles or {}
        self._served: dict[str, tuple[Api, Resource]] = {}
        for api in apis:
            for resource in api.resources:
                assert resource.collection not in self._served, f"{resource.collection} is served twice"
                self._served[resource.collection] = (api, resource)
                if resource.lifecycle is not None and lifecycles is not None:
                    _check_lifecycle(api, resource, lifecycles)
        self.references: Final = References(
            references, ((resource.type, name) for name, (_, resource) in self._served.items())
        )
        """The targets of references."""
        self.catalogue_types: Final = frozenset(
            name for name, (_, resource) in self._served.items() if resource.visibility == "catalogue"
        )
        """Collections whose entities may be public; every other one is private."""
        self.types: Final = frozenset(self._served)
        """All collections that are served."""
        private = {
            name: frozenset(n for n, one in api.attributes_of(resource.type).items() if one.is_private)
            for name, (api, resource) in self._served.items()
        }
        self.private_attributes: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
            {name: names for name, names in private.items() if names}
        )
        """By collection, the attributes that are not public; only for collections that have any."""
        self.type_names: Final = frozenset(resource.type for _, resource in self._served.values())
        """All types that are served."""

    @property
    def apis(self) -> tuple[Api, ...]:
        """What is served."""
        return self._apis

    def with_routes_of(self, api_ids: Collection[str]) -> Self:
        """Models by which few APIs are served, and all types are known."""
        few = copy.copy(self)
        vars(few)["_apis"] = tuple(api for api in self._apis if api.id in api_ids)
        return few

    def served(self, type_name: str) -> tuple[Api, Resource]:
        """API and resource that serve a collection.

        Raises:
            Refused: `Code.INVALID`, when none does.
        """
        served = self._served.get(type_name)
        if served is None:
            raise Refused(Code.INVALID, f"No API of this marketplace serves the type {type_name!r}.")
        return served

    def belongs_to(self, collection: str, type_name: object) -> bool:
        """Whether an entity with this `@type` belongs to a collection.

        It does when that is the type of the resource, or an extension, which no API serves.
        """
        if collection not in self.types or not isinstance(type_name, str):
            return False
        return type_name == self._served[collection][1].type or type_name not in self.type_names

    def path_of(self, type_name: str) -> tuple[str, str]:
        """Base path and resource path of a type.

        Base path + resource path + `/` + id is the path of an entity.

        Raises:
            Refused: `Code.INVALID`, when no API serves it.
        """
        api, resource = self.served(type_name)
        return api.base_path, resource.path

    def lifecycle(self, resource: Resource) -> Lifecycle | None:
        """The state machine that the entities of a resource follow; None when they follow none."""
        return self._lifecycles.get(resource.lifecycle) if resource.lifecycle is not None else None

    def named_lifecycle(self, name: str) -> Lifecycle:
        """The state machine of that name, which parts of an entity follow."""
        return self._lifecycles[name]

    def is_public(self, type_name: str, status: str | None) -> bool:
        """Whether an entity of that type and lifecycle status is public."""
        if type_name not in self.catalogue_types:
            return False
        _, resource = self._served[type_name]
        if not resource.has_lifecycle or status in PUBLIC_STATUSES:
            return True
        machine = self.lifecycle(resource)
        return machine is not None and status in machine.public


def _check_lifecycle(api: Api, resource: Resource, lifecycles: Mapping[str, Lifecycle]) -> None:
    """Refuse a resource with an unknown state machine, or one for parts that its type does not have."""
    machine = lifecycles.get(resource.lifecycle or "")
    attributes = api.attributes_of(resource.type)
    if machine is None or resource.status_attribute is None:
        raise Fatal(
            Code.SETTINGS_INVALID, f"{api.id}: {resource.path} follows no known state machine by a status."
        )
    for items in machine.items:
        part = attributes.get(items.path)
        if part is None or items.status not in api.attributes_of(part.type):
            raise Fatal(
                Code.SETTINGS_INVALID, f"{api.id}: {resource.path} has no {items.path} with {items.status}."
            )
