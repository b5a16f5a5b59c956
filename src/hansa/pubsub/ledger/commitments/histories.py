"""Which keys and endpoints members had at which positions, of the records of the section `history`.

Keys and endpoints are valid from a position of the ledger on to another one, so what an old batch was signed
with stays known. The records are in the order of their keys, so those of one member are neighbours: whoever
shows them with the ones before and behind them shows all of them (`shows_all_of`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hansa.core.histories import EndpointPeriod, KeyPeriod, LedgerHistory
from hansa.pubsub.ledger.commitments.governance import KEY_RECORD, LOCATION

SECTION: Final = "history"
_KEY: Final = "key/"
_LOCATION: Final = "location/"


def ledger_history(records: Mapping[str, bytes]) -> LedgerHistory:
    """The history that records of the section say, by key and in order.

    Raises:
        Refused: `Code.MALFORMED`, when one is not in its form.
    """
    keys: list[KeyPeriod] = []
    endpoints: list[EndpointPeriod] = []
    for key, body in records.items():
        # No DID has a slash; the name of a key may have one.
        did, _, name = key.partition("/")[2].partition("/")
        if key.startswith(_KEY):
            record = KEY_RECORD.read(body)
            keys.append(KeyPeriod(did, record.jwk, record.since, record.until if record.retired else None))
        elif key.startswith(_LOCATION):
            endpoints.append(EndpointPeriod(did, LOCATION.read(body).endpoint, int(name)))
    return LedgerHistory(tuple(keys), tuple(endpoints))


def key_name(did: str, kid: str) -> str:
    """The key of the record of a member's signing key."""
    return f"{_KEY}{did}/{kid}"


def _beginnings(did: str) -> tuple[str, str]:
    return f"{_KEY}{did}/", f"{_LOCATION}{did}/"


def places_of(keys: Sequence[str], names: Iterable[str], did: str | None) -> tuple[int, ...]:
    """Which records show the named ones, and everything of a member.

    Args:
        keys: Of all records, in order.
        names: Keys of records; those that are not there are passed over.
        did: Of the member; None: of no member.
    """
    places: set[int] = set()
    for name in names:
        at = bisect_left(keys, name)
        if at < len(keys) and keys[at] == name:
            places.add(at)
    for beginning in () if did is None else _beginnings(did):
        at = bisect_left(keys, beginning)
        places.update((at - 1,) if at else ())
        while at < len(keys) and keys[at].startswith(beginning):
            places.add(at)
            at += 1
        places.update((at,) if at < len(keys) else ())
    return tuple(sorted(places))


def shows_all_of(did: str, shown: Sequence[tuple[int, str]], size: int) -> bool:
    """Whether records that are shown are all keys and endpoints of a member.

    Args:
        did: Of the member.
        shown: Places and keys of the records, in the order of both.
        size: How many records the section has.
    """
    for beginning in _beginnings(did):
        own = sum(key.startswith(beginning) for _, key in shown)
        before = max((at for at, key in shown if key < beginning), default=-1)
        behind = min(
            (at for at, key in shown if key > beginning and not key.startswith(beginning)), default=size
        )
        if own != behind - before - 1:
            return False
    return True
