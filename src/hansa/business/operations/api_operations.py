"""The operations of one API, by collection."""

from __future__ import annotations

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
    """The operations of all resources of one API; shared by all callers, so that creates form batches."""

    def __init__(self, api: Api, context: Context) -> None:
        self.api = api
        policies = context.policies
        inferred = None
        if policies.missing_attributes == "complete":
            inferred = InferredValues(api, context.models, context.clock, context.endpoint)
        validator = Validator(api, policies.unknown_attributes, inferred)
        self.by_collection = {
            resource.collection: _resource_operations(
                ServedResource(api, resource, validator, context), context
            )
            for resource in api.resources
        }
        updates = {collection: one.update for collection, one in self.by_collection.items()}
        for one in self.by_collection.values():
            if one.resource.task is not None:
                one.create.tasks = Tasks(
                    *(one.resource, one.served.attributes, updates),
                    *(context.store, context.clock, context.limits),
                    forwards=context.forwarder is not None,
                )

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
