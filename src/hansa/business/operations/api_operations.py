"""The operations of one API, by collection."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Final

import msgspec

from hansa.business.context import Context
from hansa.business.models import Api, Resource
from hansa.business.operations.create import CreateOperation
from hansa.business.operations.delete import DeleteOperation
from hansa.business.operations.embedded import EmbeddedReadOperation
from hansa.business.operations.read import ReadOperation
from hansa.business.operations.tasks import Tasks
from hansa.business.operations.update import UpdateOperation
from hansa.business.served_resource import ServedResource
from hansa.business.validation.inferred import InferredValues
from hansa.business.validation.validator import Validator
from hansa.core.lazy_mapping import LazyMapping


class ResourceOperations(msgspec.Struct, frozen=True):
    """The operations of one resource."""

    served: ServedResource
    read: ReadOperation
    create: CreateOperation
    update: UpdateOperation
    delete: DeleteOperation
    embedded: EmbeddedReadOperation | None
    """Reads it in place of `read`, when it stands in an attribute of its parent."""

    @property
    def resource(self) -> Resource:
        """Its model."""
        return self.served.resource


class ApiOperations:
    """The operations of all resources of one API; shared by all callers, so that creates form batches.

    Those of a resource are made when they are needed first: no marketplace uses all of the APIs.
    """

    def __init__(self, api: Api, context: Context) -> None:
        self.api = api
        self._context = context
        self._resources = {resource.collection: resource for resource in api.resources}
        self.by_collection: Final[Mapping[str, ResourceOperations]] = LazyMapping(self._resources, self._made)
        self._updates = LazyMapping(self._resources, lambda collection: self[collection].update)

    @cached_property
    def _validator(self) -> Validator:
        policies, context = self._context.policies, self._context
        inferred = None
        if policies.missing_attributes == "complete":
            inferred = InferredValues(self.api, context.models, context.clock, context.endpoint)
        return Validator(self.api, policies.unknown_attributes, inferred)

    def _made(self, collection: str) -> ResourceOperations:
        context, resource = self._context, self._resources[collection]
        one = _resource_operations(ServedResource(self.api, resource, self._validator, context), context)
        if resource.task is not None:
            one.create.tasks = Tasks(
                *(resource, one.served.attributes, self._updates),
                *(context.store, context.clock, context.limits),
                forwards=context.forwarder is not None,
            )
        return one

    def __getitem__(self, collection: str) -> ResourceOperations:
        """The operations of the resource whose entities are in that collection."""
        return self.by_collection[collection]


def _resource_operations(served: ServedResource, context: Context) -> ResourceOperations:
    update = UpdateOperation(served, context)
    return ResourceOperations(
        served,
        ReadOperation(served, context),
        update.create,
        update,
        DeleteOperation(served, context),
        EmbeddedReadOperation(served, context.large_work) if served.resource.embedded else None,
    )
