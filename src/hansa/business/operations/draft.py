"""What the store takes of an entity: checked against the model of its type, canonical, indexed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from hansa.business.context import Context
from hansa.business.rules import CollectionLookup
from hansa.business.served_resource import ServedResource
from hansa.business.validation.violations import MissingAttribute, Violation, collected, refuse
from hansa.core.bounded_json import has_more_nodes
from hansa.core.canonical import canonical_json, hashlink, uncarried
from hansa.core.errors import Code, Refused
from hansa.core.identifiers import PLAIN_IDENTIFIER
from hansa.core.visibility import ATTRIBUTE, FOR_NOBODY, FORM, read_visibility
from hansa.store import EntityDraft

Fields = dict[str, Any]

IMMUTABLE: Final = frozenset({"id", "href"})
"""Attributes that no write changes; `href` follows from `id`."""


class DraftBuilder:
    """Makes drafts of the entities of one resource. A create takes the steps one by one, among others."""

    def __init__(self, served: ServedResource, context: Context) -> None:
        self._served = served
        self._resource = served.resource
        self._context = context

    def draft(self, entity: Fields, parent_id: str | None) -> EntityDraft:
        """What the store takes of an entity that was checked.

        Raises:
            InvalidBody: `Code.INVALID`, naming each value that has no canonical form.
        """
        body = self.encode(entity)
        return self.indexed(entity, body, hashlink(body), parent_id)

    def encode(self, entity: Fields) -> bytes:
        """The canonical bytes of an entity.

        Raises:
            InvalidBody: `Code.INVALID`, naming each value that has no canonical form.
            Refused: `Code.TOO_LARGE`.
        """
        try:
            body = canonical_json(entity)
        except Refused as error:
            refuse([Violation(path, rule) for path, rule, _ in uncarried(entity)])
            raise error from None
        self._check_size(entity, body)
        return body

    def _check_size(self, entity: Fields, body: bytes) -> None:
        """Refuse what has become larger than a body may be, as by several patches."""
        limits = self._context.limits
        if len(body) > limits.entity_size_max_bytes:
            raise Refused(
                Code.TOO_LARGE,
                f"The entity would have {len(body):,} bytes; it has at most {limits.entity_size_max_bytes:,}.",
            )
        if has_more_nodes(body, entity, limits.body_nodes_max):
            raise Refused(
                Code.TOO_LARGE,
                f"The entity would consist of more than {limits.body_nodes_max:,} values; divide it.",
            )

    def refuse(self, entity: Fields, before: Fields | None, violations: Sequence[Violation] = ()) -> None:
        """Refuse an entity for everything that is wrong with it, so that whoever sent it mends it at once.

        Args:
            entity: With the fields that this marketplace sets.
            before: As it was before the write; None when it is new.
            violations: What is known already.

        Raises:
            InvalidBody: `Code.INVALID`, unless nothing is wrong.
        """
        served, kind, rules = self._served, self._resource.type, self._context.rules
        of_model = collected((lambda: served.validator.check(kind, entity),))
        further: list[Callable[[], object]] = [
            lambda: refuse([*violations, *of_model]),
            lambda: self._context.extensions.check(kind, entity, served.api.types),
            lambda: _check_visibility(entity),
            lambda: self.encode(entity),
        ]
        if not of_model:  # other rules suppose a body that is valid against its model
            further.append(lambda: rules.check_content(self._resource, before, entity))
        refuse(collected(further))

    async def complete(
        self, lookup: CollectionLookup, missing: tuple[MissingAttribute, ...]
    ) -> tuple[str, ...]:
        """Complete what the store tells of an entity; the paths of what is still missing.

        Args:
            lookup: The store, or a transaction.
            missing: From `check`.
        """
        inferred = self._served.validator.inferred
        if missing and inferred is not None:
            ids = [str(one.holder["id"]) for one in inferred.references_to_look_up(missing)]
            if 0 < len(ids) <= self._context.limits.references_max:
                missing = inferred.complete_referred(missing, await lookup.collections_of(ids))
        return tuple(one.path for one in missing)

    def check(self, entity: Fields) -> tuple[MissingAttribute, ...]:
        """Check an entity against its model and the operator's schemas; attributes that are null are removed.

        Returns:
            What the model requires and the entity does without.

        Raises:
            Refused: `Code.INVALID`, naming what is wrong.
        """
        missing = self._served.validator.check(self._resource.type, entity)
        self._context.extensions.check(self._resource.type, entity, self._served.api.types)
        if ATTRIBUTE in entity:
            _check_visibility(entity)
        return missing

    def indexed(
        self, entity: Fields, body: bytes, link: str, parent_id: str | None, nonce: bytes | None = None
    ) -> EntityDraft:
        """An entity as the store takes it, with what of it is indexed; `nonce` binds a new identifier."""
        resource, context = self._resource, self._context
        status = entity.get(resource.status_attribute) if resource.status_attribute else None
        public = context.models.is_public(resource.collection, status)
        if ATTRIBUTE in entity:
            public = public and (read_visibility(entity[ATTRIBUTE]) or FOR_NOBODY).is_public_here
        return EntityDraft(
            id=entity["id"],
            type=resource.collection,
            body=body,
            hashlink=link,
            public=public,
            parent=parent_id,
            indexed=context.store.indexed(resource.collection, entity, parent_id),
            nonce=nonce,
        )


def _check_visibility(entity: Fields) -> None:
    """Refuse an entity that does not say in the form for whom it is."""
    if read_visibility(entity.get(ATTRIBUTE)) is None:
        refuse([Violation(ATTRIBUTE, FORM, entity.get(ATTRIBUTE))])


def check_identifier(identifier: object, length_max: int, violations: list[Violation]) -> None:
    """Add what is wrong with the identifier that a client chose."""
    if (
        type(identifier) is not str
        or len(identifier) > length_max
        or not PLAIN_IDENTIFIER.fullmatch(identifier)
    ):
        rule = (
            f"must be at most {length_max} letters, digits and . _ ~ : @ ! $ & ' ( ) * + = -, "
            "starting with a letter or digit"
        )
        violations.append(Violation("id", rule, identifier))
