"""Deliberate bugs, as patches of the product while a simulation runs: the simulator finds each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import msgspec

from hansa.api.confidential.serving import ConfidentialApi
from hansa.business.operations.forwarding.sending import WriteSender
from hansa.core.audit import Anchor
from hansa.core.backoff import Backoff
from hansa.core.canonical import hashlink
from hansa.core.own_identifiers import OwnIdentifiers
from hansa.core.visibility import FOR_EVERYONE
from hansa.replication import announcement, follower, intake
from hansa.replication.announcement import Announcer
from hansa.replication.auditing import anchoring
from hansa.replication.conditions import closure, past, policy
from hansa.replication.conditions.own_closure import OwnClosure
from hansa.replication.conditions.past import PastWalk
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.confidential.past import AddressedPast
from hansa.replication.confidential.retrieval import ConfidentialRetriever
from hansa.replication.confidential.returns import SealedReturns
from hansa.replication.confidential.sealer import Sealer
from hansa.replication.continuity.sealed_restoration import SealedRestoration
from hansa.replication.follower import Follower
from hansa.replication.intake import Intake
from hansa.replication.publisher import PUBLISHER_CURSOR, Publisher
from hansa.replication.replicas.pushed_intake import PushedIntake, ReadyParts
from hansa.replication.replicas.rejections import Rejection
from hansa.replication.sources.serving import ServedVersion, VersionSource
from hansa.store import EntityDraft
from hansa.store.sqlite.commit.writer import GroupWriter
from hansa.store.tables import announced, evidence, facts, heads, origins, publications
from hansa.store.tables.confidential import announced as sealed
from hansa.store.tables.heads import FOLLOWER_CURSOR, HeadState
from hansa.store.tables.writes import idempotency

Mutation = Callable[[], Any]
MUTANTS: dict[str, Mutation] = {}
"""By name, what makes the context in which the bug is there."""


def mutant(make: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
    """Register a mutation under its name."""
    MUTANTS[make.__name__.removeprefix("_").replace("_", "-")] = contextmanager(make)
    return make


def _replacing(owner: Any, name: str, replaced: Callable[[Any], Any]) -> Any:
    """A patch by a function that is made of the original."""
    return patch.object(owner, name, replaced(getattr(owner, name)))


# -- cursors -------------------------------------------------------------------------------------------------


@mutant
def _follower_cursor_moved_too_early() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def apply_page(self: Any, page: Any, ready: Any, **more: Any) -> None:
            async with self._store.transaction() as tx:
                await tx.set_cursor(FOLLOWER_CURSOR, page.scanned_to)
            await original(self, page, ready, **more)

        return apply_page

    with _replacing(Follower, "_apply_page", replaced):
        yield


@mutant
def _publisher_cursor_moved_too_early() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def announce(self: Any, ids: Any, cursor: int, stored_cursor: int) -> bool:
            async with self._store.transaction() as tx:
                await tx.set_cursor(PUBLISHER_CURSOR, cursor)
            return bool(await original(self, ids, cursor, stored_cursor))

        return announce

    with _replacing(Publisher, "_announce", replaced):
        yield


@mutant
def _cursor_of_another_chain() -> Iterator[None]:
    with patch.object(follower, "FOLLOWER_CURSOR", PUBLISHER_CURSOR):
        yield


@mutant
def _outbox_not_submitted_after_a_restart() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def run(self: Any) -> None:
            async with self._store.transaction() as tx:
                await tx.sql.execute("DELETE FROM outbox")
            await original(self)

        return run

    with _replacing(Publisher, "run", replaced):
        yield


# -- what is believed ----------------------------------------------------------------------------------------


def _believing(body: bytes, retrieval: Any) -> Any:
    return msgspec.structs.replace(retrieval, hashlink=hashlink(body))


@mutant
def _hash_not_compared() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        return lambda body, retrieval, *rest, is_held: original(body, _believing(body, retrieval), *rest)

    with _replacing(intake, "verify", replaced):
        yield


@mutant
def _bundle_trusted_without_hash() -> Iterator[None]:
    async def ready(self: Any, versions: Any) -> ReadyParts:
        drafts = {}
        for one in versions:
            parts = self._pushed._members.get(one.issuer)
            bodies = [
                body for (key, _), (_, body) in (parts.parts if parts else {}).items() if key == one.key
            ]
            for body in bodies[-1:]:
                draft = intake.verify(body, _believing(body, one), self._limits)
                if isinstance(draft, EntityDraft):
                    drafts[one] = draft
        return ReadyParts(drafts, {})

    with patch.object(PushedIntake, "ready", ready):
        yield


@mutant
def _earlier_claims_not_looked_up() -> Iterator[None]:
    async def nothing_claimed(self: Any, issuer: str, drafts: Any) -> dict[Any, Any]:
        return {}

    with patch.object(Intake, "_reject_claimed", nothing_claimed):
        yield


@mutant
def _evidence_against_the_wrong_member() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def record(tx: Any, retrieval: Any, *rest: Any) -> None:
            others = [one.did for one in await origins.origins(tx) if one.did != retrieval.issuer]
            accused = others[0] if others else retrieval.issuer
            await original(tx, msgspec.structs.replace(retrieval, issuer=accused), *rest)

        return record

    with _replacing(evidence, "record", replaced):
        yield


# -- deletions and versions ----------------------------------------------------------------------------------


@mutant
def _delete_ignored() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def apply(self: Any, tx: Any, events: Any, *others: Any, **more: Any) -> Any:
            rest = [one for one in events if not one.event.is_delete]
            return await original(self, tx, rest, *others, **more)

        return apply

    with _replacing(Follower, "_apply", replaced):
        yield


@mutant
def _delete_resurrected_by_an_older_version() -> Iterator[None]:
    with (
        patch.object(HeadState, "is_brought_forward_by", lambda self, retrieval: True),
        patch.object(heads, "is_newer", lambda version, head: True),
        patch.object(follower, "is_newer", lambda version, head: True),
    ):
        yield


@mutant
def _withdrawal_not_announced() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        def announce(self: Any, entity_id: str, entity: Any, *others: Any) -> Any:
            return None if entity is None else original(self, entity_id, entity, *others)

        return announce

    with _replacing(Announcer, "announce", replaced):
        yield


@mutant
def _change_lost_while_an_event_is_under_way() -> Iterator[None]:
    async def not_marked(tx: Any, ids: Any, *, is_due: bool = True) -> None:
        return

    with patch.object(publications, "mark_due", not_marked):
        yield


# -- patience ------------------------------------------------------------------------------------------------


@mutant
def _given_up_after_some_tries() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def reject(self: Any, tx: Any, failed: int, retrieval: Any, rejection: Rejection) -> bool:
            if retrieval.attempts >= 3:
                rejection = msgspec.structs.replace(rejection, state="rejected", is_evidence=False)
            return bool(await original(self, tx, failed, retrieval, rejection))

        return reject

    with _replacing(Intake, "_reject", replaced):
        yield


@mutant
def _back_off_never_reset() -> Iterator[None]:
    async def not_answered(tx: Any, did: str) -> None:
        return

    with (
        patch.object(Backoff, "reset", lambda self: None),
        patch.object(origins, "answered", not_answered),
    ):
        yield


@mutant
def _given_up_while_suspended() -> Iterator[None]:
    with patch.object(announcement, "UNTIL_REGISTERED", frozenset()):
        yield


@mutant
def _announced_by_a_wrong_clock_for_good() -> Iterator[None]:
    with patch.object(announcement, "age_s", lambda content, issuer, now: 0.0):
        yield


# -- what is shown to whom -----------------------------------------------------------------------------------


@mutant
def _visible_before_the_claim() -> Iterator[None]:
    with patch.object(OwnIdentifiers, "needs_claim", lambda self, entity_id, nonce: False):
        yield


@mutant
def _audience_not_checked() -> Iterator[None]:
    with patch.object(DistributionPolicy, "may_retrieve", lambda self, member, entity: entity):
        yield


@mutant
def _current_bytes_instead_of_announced() -> Iterator[None]:
    def own(self: Any, requested: Any, publication: Any, entities: Any, *others: Any) -> ServedVersion:
        del requested
        entity = entities.get(publication.entity_id)
        served = self._policy.may_retrieve(others[-1], entity) if entity is not None else None
        return ServedVersion("gone") if served is None else ServedVersion("found", served.body)

    with patch.object(VersionSource, "_own", own):
        yield


@mutant
def _announced_bytes_not_retained() -> Iterator[None]:
    async def not_retained(tx: Any, before: Any, draft: Any) -> None:
        return

    with patch.object(announced, "retain_replaced", not_retained):
        yield


@mutant
def _announced_bytes_removed_too_early() -> Iterator[None]:
    async def ended(tx: Any, key: str, version: int, now_ms: int) -> None:
        await announced.remove(tx, key)

    with patch.object(announced, "end", ended):
        yield


# -- writes --------------------------------------------------------------------------------------------------


@mutant
def _idempotency_record_forgotten() -> Iterator[None]:
    async def not_added(*_: Any) -> None:
        return

    with patch.object(idempotency, "add", not_added):
        yield


@mutant
def _forwarded_write_applied_locally() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        async def send(self: Any, *arguments: Any, **named: Any) -> Any:
            result = await original(self, *arguments, **named)
            one = result.entity
            draft = EntityDraft(one.id, one.type, one.body, one.hashlink, one.public, one.origin)
            async with self._context.store.transaction() as tx:
                await tx.put(draft)
            return result

        return send

    with _replacing(WriteSender, "send", replaced):
        yield


# -- conditions ----------------------------------------------------------------------------------------------


@mutant
def _condition_evaluated_only_before_retrieval() -> Iterator[None]:
    with patch.object(DistributionPolicy, "accepts", lambda self, entity: None):
        yield


@mutant
def _conditions_not_applied_to_the_past() -> Iterator[None]:
    async def walk(self: Any) -> None:
        async with self._store.transaction() as tx:
            await facts.record(tx, "consume_rule", self._policy.consume_rule)

    with patch.object(PastWalk, "walk", walk):
        yield


@mutant
def _closure_limit_ignored() -> Iterator[None]:
    with patch.object(closure, "DEPTH_MAX", 100):
        yield


@mutant
def _closure_not_requested() -> Iterator[None]:
    async def nothing_requested(self: Any, needs: Any) -> None:
        return

    with patch.object(closure.ClosureKeeper, "_request", nothing_requested):
        yield


@mutant
def _published_before_what_it_needs() -> Iterator[None]:
    async def nothing_blocks(self: Any, entities: Any, fields: Any) -> dict[str, str]:
        return {}

    with patch.object(OwnClosure, "blockers", nothing_blocks):
        yield


# -- confidential entities -----------------------------------------------------------------------------------


@mutant
def _sealed_parts_served_to_anybody() -> Iterator[None]:
    async def allowed(self: Any, member: str, keys: Any) -> Any:
        return await sealed.parts(self._store, keys)

    with patch.object(ConfidentialApi, "_allowed", allowed):
        yield


@mutant
def _chosen_marketplaces_ignored() -> Iterator[None]:
    with patch.object(policy, "visibility_of", lambda body: FOR_EVERYONE):
        yield


@mutant
def _former_recipients_not_informed() -> Iterator[None]:
    with patch.object(Sealer, "_withdrawals", lambda *_: []):
        yield


@mutant
def _conditions_not_applied_to_the_confidential_past() -> Iterator[None]:
    async def walk(self: Any) -> None:
        async with self._store.transaction() as tx:
            await facts.record(tx, "addressed_rule", self._policy.consume_rule)

    with patch.object(AddressedPast, "_walk", walk):
        yield


@mutant
def _confidential_entities_not_taken_back() -> Iterator[None]:
    async def of(*_: Any) -> dict[int, Any]:
        return {}

    with patch.object(SealedReturns, "of", of):
        yield


@mutant
def _what_came_back_not_sealed_anew() -> Iterator[None]:
    with patch.object(SealedRestoration, "_record", _nothing):
        yield


@mutant
def _recipients_before_a_restoration_forgotten() -> Iterator[None]:
    with patch.object(SealedRestoration, "_note_sent", _nothing):
        yield


@mutant
def _confidential_replica_made_public() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        def outcome(self: Any, *arguments: Any) -> Any:
            result = original(self, *arguments)
            if isinstance(result, EntityDraft):
                result = msgspec.structs.replace(result, public=True)
            return result

        return outcome

    with _replacing(ConfidentialRetriever, "_outcome", replaced):
        yield


# -- the store -----------------------------------------------------------------------------------------------


@mutant
def _refused_by_what_was_never_committed() -> Iterator[None]:
    def replaced(original: Any) -> Any:
        def undo(self: Any, *arguments: Any, **options: Any) -> None:
            original(self, *arguments, **options)

        return undo

    with _replacing(GroupWriter, "undo", replaced):
        yield


# -- the audit log -------------------------------------------------------------------------------------------


@mutant
def _anchor_of_another_record() -> Iterator[None]:
    with patch.object(anchoring, "Anchor", lambda id, seq, hash: Anchor(id, seq + 1, hash)):
        yield


@mutant
def _lost_anchors_not_recorded() -> Iterator[None]:
    with patch.object(follower, "record_lost_anchors", _nothing):
        yield


@mutant
def _rule_that_holds_again_taken_for_one_that_held_on() -> Iterator[None]:
    def adopt(self: Any, conditions: Any) -> None:
        self._conditions = conditions

    with (
        patch.object(DistributionPolicy, "adopt", adopt),
        patch.object(past, "UNDECIDED", ""),
        patch.object(past, "EVENTS_MAX", 2),  # no bug by itself: few events are several parts of a walk
    ):
        yield


async def _nothing(*_: Any) -> None:
    """Do nothing."""
