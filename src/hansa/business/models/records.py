"""What a model says about an API: its resources, their types, attributes, methods and events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from hansa.business.models.lifecycles import Lifecycle
from hansa.business.models.references import References
from hansa.core.errors import Code, Fatal, Refused

Access = Literal["any", "create-only", "update-only", "read-only"]
"""In which bodies of a client an attribute may appear: a create, an update, both or neither."""

Visibility = Literal["catalogue", "private"]
"""`catalogue`: readable without a token and published, unless the lifecycle says that it is a draft. Else `private`."""

Method = Literal["list", "retrieve", "create", "patch", "replace", "delete"]

PRIMITIVES: Final = frozenset(
    {"string", "uri", "date-time", "base64", "boolean", "integer", "number", "object", "any"}
)
"""Types that need no definition. `object` and `any` may hold whatever JSON can."""

LIFECYCLE_STATUS: Final = "lifecycleStatus"
"""The status attribute that decides what is public; `status` and `state` of other types do not."""

PUBLIC_STATUSES: Final = frozenset({"Launched", "Retired", "Obsolete"})
"""Lifecycle statuses of public entities of every catalogue, spelt exactly so; a state machine may have further ones."""


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
    """The document requires it of answers although a create need not carry it."""
    access: Access = "any"
    is_private: bool = False
    """At the top of a catalogue type: only callers with a token see it, and it stays in this marketplace."""
    default: object = None
    """Value that the document gives to an attribute that a create does not carry."""
    initial: object = None
    """Value that this marketplace gives to such an attribute where the document gives none, yet has it in answers."""

    @property
    def on_create(self) -> object:
        """Value of the attribute when a create does not carry it; None for no value."""
        return self.default if self.default is not None else self.initial


class EntityType(msgspec.Struct, frozen=True):
    """A type of JSON objects."""

    name: str
    attributes: Mapping[str, Attribute]
    extends: str | None = None


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a task does to the entities that it refers to."""

    about: str
    """Dotted path to their references in the task, through arrays too, as `adjustProductStockItem.productStockTarget`."""
    sets: Mapping[str, object]
    """Attributes that are set there, dotted for those within. A value is taken as it is, but `{from = "ackUserId"}` from
    the task (or from the item of it that holds the reference); `add` and `subtract` change a quantity by one there;
    `append` puts one more element into an array, `refer` a reference, and `unrefer` takes that out again."""


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the entities of a task resource do once they are created: TMF630 Part 1, chapter 8."""

    effects: tuple[Effect, ...] = ()
    done: str | None = None
    """State of a task that was carried out; None when tasks have no state."""
    failed: str | None = None
    """State of a task that could not be."""
    reason: str | None = None
    """Attribute that says why it could not be."""
    completed: str | None = None
    """Date-time that is set when it was carried out."""
    due: str | None = None
    """Date-time before which it is not carried out."""
    outcome: str | None = None
    """Attribute that lists the entities which were changed."""
    items: Mapping[str, object] = {}
    """Attributes that are set in the items which hold the references, when it was carried out."""
    matches: str | None = None
    """Collection of which the references are patterns: each means every entity with these attributes."""


class Resource(msgspec.Struct, frozen=True):
    """What is served at one path of an API."""

    path: str
    """Below the base path, as `productOffering` or `geographicAddress/{geographicAddressId}/geographicSubAddress`."""
    type: str
    methods: tuple[Method, ...]
    visibility: Visibility = "private"
    status_attribute: str | None = None
    status_initial: str | None = None
    lifecycle: str | None = None
    """Name of the state machine (`states.toml`) that its status attribute follows."""
    collection: str = ""
    """Name under which the store and the ledger keep its entities: that of the type, unless another API has that too."""
    embedded: str | None = None
    """Attribute of the parent that holds the entities of this sub-resource; None when they are stored by themselves."""
    operator_methods: tuple[Method, ...] = ()
    """Methods that the document does not have, for records which the marketplace's own systems write (role operator)."""
    task: Task | None = None
    """What a task resource does."""
    stamped_on_create: tuple[str, ...] = ()
    """Date-times that this marketplace sets when the entity is created."""
    stamped_on_write: tuple[str, ...] = ()
    """Date-times that this marketplace sets whenever the entity changes."""
    stamped_on_status: tuple[str, ...] = ()
    """Date-times that this marketplace sets when the entity gets its status, and whenever that changes."""
    events: tuple[str, ...] = ()
    """Exact names, as `productOfferingStateChangeEvent`."""

    @property
    def name(self) -> str:
        """Last segment of the path, and the name of the payload of its events."""
        return self.path.rpartition("/")[2]

    @property
    def parent_name(self) -> str | None:
        """For a sub-resource, the name of the resource that it belongs to; its path has that, `/{…Id}/` and its own."""
        return self.path.split("/", 1)[0] if "{" in self.path else None

    @property
    def has_lifecycle(self) -> bool:
        """Whether a lifecycle status decides which of its entities are public."""
        return self.status_attribute == LIFECYCLE_STATUS


class Api(msgspec.Struct, frozen=True):
    """One TM Forum Open API."""

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

    def attributes_of(self, type_name: str) -> Mapping[str, Attribute]:
        """All attributes of a type, inherited ones too."""
        found = self.types[type_name]
        if found.extends is None:
            return found.attributes
        return {**self.attributes_of(found.extends), **found.attributes}

    def required_of(self, type_name: str, *, is_whole: bool) -> tuple[str, ...]:
        """What a value of a type must carry.

        Of a type that is served: what a create must carry, which is not asked of a value within another entity; `id` and
        `href` are made here.
        """
        is_served = any(resource.type == type_name for resource in self.resources)
        if is_served and not is_whole:
            return ()
        made_here = {"id", "href"} if is_served else set()
        attributes = self.attributes_of(type_name)
        return tuple(name for name, one in attributes.items() if one.is_required and name not in made_here)


class Models:
    """All APIs that are served, and questions that other parts have about types."""

    def __init__(
        self,
        apis: tuple[Api, ...],
        lifecycles: Mapping[str, Lifecycle] | None = None,
        references: str = "",
    ) -> None:
        """Put models together.

        Args:
            apis: What is served.
            lifecycles: State machines, by the names that the resources use.
            references: Text of `references.toml`; without it, references go by their names alone.

        Raises:
            Fatal: `Code.SETTINGS_INVALID`, when these do not fit together.
        """
        self.apis = apis
        self._lifecycles = lifecycles or {}
        self._served: dict[str, tuple[Api, Resource]] = {}
        for api in apis:
            for resource in api.resources:
                assert resource.collection not in self._served, f"{resource.collection} is served twice"
                self._served[resource.collection] = (api, resource)
                if resource.lifecycle is not None and lifecycles is not None:
                    _check_lifecycle(api, resource, lifecycles)
        self.references = References(
            references, ((found.type, name) for name, (_, found) in self._served.items())
        )
        """What references refer to."""
        self.catalogue_types = frozenset(
            name for name, (_, resource) in self._served.items() if resource.visibility == "catalogue"
        )
        """Collections whose entities may be public; every other one is private."""
        self.types = frozenset(self._served)
        """All collections that are served."""
        self.private_attributes: Mapping[str, frozenset[str]] = {
            name: private
            for name, (api, resource) in self._served.items()
            if (
                private := frozenset(
                    n for n, one in api.attributes_of(resource.type).items() if one.is_private
                )
            )
        }
        """By collection, the attributes that are no part of what is public; only those that have any."""
        self.type_names = frozenset(resource.type for _, resource in self._served.values())
        """All types that are served."""

    def served(self, type_name: str) -> tuple[Api, Resource]:
        """API and resource that serve a collection.

        Raises:
            Refused: `Code.INVALID`, when none does.
        """
        found = self._served.get(type_name)
        if found is None:
            raise Refused(Code.INVALID, f"No API of this marketplace serves the type {type_name!r}.")
        return found

    def is_of(self, collection: str, said: object) -> bool:
        """Whether an entity that calls itself so (`@type`) belongs to a collection.

        It does when that is the type of the resource, or a type of somebody's own, derived from it.
        """
        if collection not in self.types or not isinstance(said, str):
            return False
        return said == self._served[collection][1].type or said not in self.type_names

    def path_of(self, type_name: str) -> tuple[str, str]:
        """Base path and resource path of a type; base path + resource path + `/` + id is the path of an entity.

        Raises:
            Refused: `Code.INVALID`, when no API serves it.
        """
        api, resource = self.served(type_name)
        return api.base_path, resource.path

    def lifecycle(self, resource: Resource) -> Lifecycle | None:
        """The state machine that the entities of a resource follow; None when they follow none."""
        return self._lifecycles.get(resource.lifecycle) if resource.lifecycle is not None else None

    def named_lifecycle(self, name: str) -> Lifecycle:
        """The state machine of that name, as parts of an entity follow it."""
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
    """Refuse a resource that follows an unknown state machine, or one for parts that its type does not have."""
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
