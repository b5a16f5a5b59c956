"""Checks entities of other members as what a client creates is checked: by the model of their type.

A replica cannot be completed, as a client's body is: its bytes have the hash that the ledger names. And its
origin may keep attributes that no model knows, and do without what this marketplace would demand or complete,
as its settings say. So this check is as forgiving as any member of the league may be: it finds what no origin
of this release can have accepted.
"""

from __future__ import annotations

from typing import Any

from hansa.business.models import Models
from hansa.business.validation.inferred import InferredValues
from hansa.business.validation.validator import Validator
from hansa.core.clock import Clock
from hansa.core.errors import Refused


class ReplicaCheck:
    """Says what is wrong with an entity of another member (`hansa.replication.intake.EntityCheck`).

    Args:
        models: Of all types.
        clock: For values that are completed on the way.
    """

    def __init__(self, models: Models, clock: Clock) -> None:
        self._models = models
        self._clock = clock
        self._validators: dict[str, Validator] = {}
        """By base path of the API."""

    def __call__(self, collection: str, entity: dict[str, Any]) -> str | None:
        """What is wrong with an entity, as the end of a sentence about it; None: nothing. It is changed."""
        if not self._models.belongs_to(collection, entity.get("@type")):
            return f"is not of the type {collection} that the event names"
        api, resource = self._models.served(collection)
        validator = self._validators.get(api.base_path)
        if validator is None:
            inferred = InferredValues(api, self._models, self._clock, "")
            validator = self._validators[api.base_path] = Validator(api, "keep", inferred)
        try:
            validator.check(resource.type, entity)
        except Refused as error:
            return f"does not fit the model of its type: {error.message.rstrip('.')}"
        return None
