"""The rows of new events: what of a block is in the tables beside the trees."""

from __future__ import annotations

import uuid
from typing import Any

import apsw

from hansa.core.events import event_time_ms
from hansa.pubsub.ledger.commitments.app_hash import RULESET_3
from hansa.pubsub.ledger.state.view import BlockEffects
from hansa.pubsub.ledger.storage.compact import stored_content, stored_jws
from hansa.pubsub.ledger.storage.schema import (
    BatchRow,
    BlockRow,
    CheckpointRow,
    EventContentRow,
    EventRow,
    UsedIdRow,
    insert_sql,
)


def write_events(
    connection: apsw.Connection, effects: BlockEffects, *, has_checkpoint: bool
) -> dict[str, int]:
    """Write the events of a block, or of several, within a transaction; the numbers of their issuers.

    Args:
        connection: In the transaction.
        effects: What the blocks change.
        has_checkpoint: Whether the last of them is the block of the head, whose `app_hash` is known.
    """
    if not effects.events:
        return {}
    first = effects.events[0].position
    _write_blocks(connection, effects, has_checkpoint=has_checkpoint)
    names = {new.event.issuer for new in effects.events} | {new.event.type for new in effects.events}
    connection.executemany(
        "INSERT INTO name (text) VALUES (?) ON CONFLICT DO NOTHING", [(name,) for name in sorted(names)]
    )
    numbers = {
        name: _number(connection, "SELECT number FROM name WHERE text = ?", (name,)) for name in sorted(names)
    }
    connection.executemany(
        insert_sql("batch", BatchRow),
        [
            BatchRow(
                *(new.first_position, new.count, new.height),
                *(numbers[new.issuer], new.seq, stored_jws(new.jws)),
            )
            for new in effects.batches
        ],
    )
    entities = {(claim.issuer, claim.key): claim.first_position for claim in effects.claims}
    rows: list[tuple[int, int, int, int, int, int]] = []
    for batch in effects.batches:
        begin, issuer, did = batch.first_position, numbers[batch.issuer], batch.issuer
        for new in effects.events[begin - first : begin - first + batch.count]:
            event = new.event
            entity = entities[did, event.entity.key]
            rows.append((new.position, begin, issuer, numbers[event.type], entity, event_time_ms(event.time)))
    connection.executemany(insert_sql("event", EventRow), rows)
    if effects.trees.sections.ruleset == RULESET_3:
        connection.executemany(
            insert_sql("used_id", UsedIdRow),
            [
                UsedIdRow(uuid.UUID(new.event.id).bytes, numbers[new.event.issuer], new.position)
                for new in effects.events
            ],
        )
    connection.executemany(
        insert_sql("event_content", EventContentRow),
        [(new.position, stored_content(new.content)) for new in effects.events],
    )
    return {new.event.issuer: numbers[new.event.issuer] for new in effects.events}


def _write_blocks(connection: apsw.Connection, effects: BlockEffects, *, has_checkpoint: bool) -> None:
    """The blocks that have events, and what leads from these to the application hash."""
    first_batches = {new.height: (new.time_ms, new.first_position) for new in reversed(effects.batches)}
    connection.executemany(
        insert_sql("block", BlockRow), [BlockRow(height, *block) for height, block in first_batches.items()]
    )
    if not has_checkpoint:
        return
    sections = effects.trees.sections
    path = b"".join(sections.path("events"))
    connection.execute(
        insert_sql("checkpoint", CheckpointRow),
        CheckpointRow(effects.head.height, effects.head.position, sections.ruleset, path),
    )


def _number(connection: apsw.Connection, sql: str, bindings: tuple[Any, ...]) -> int:
    row = connection.execute(sql, bindings).fetchone()
    assert row is not None, sql
    return int(row[0])
