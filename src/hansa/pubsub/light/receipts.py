"""Receipts: the proof of events in one file that anybody verifies offline, years later.

A receipt is one closed JSON (`RECEIPT`): each has one byte string, so no byte of it can be another.

    block      the light block whose header has the application hash of a state
    chain_id   the ledger's name; what everything is signed for
    digest     SHA-256 of the receipt without this field: shows damage at once, and nothing else
    claims     what shows which versions of a key are the latest, or that it is unknown; may be absent
    events     events, each with the JWS of its batch, and its paths in the batch and in the ledger's tree
    format     `hansa-receipt/1`
    history    what the ledger remembers of members' keys and endpoints (`hansa.pubsub.light.histories.shown`)
    keys       public keys of the batches' signatures that are named by their thumbprints; may be absent
    root       root of all events, where there is none that leads to it
    ruleset    the rules of the state, which say where its sections are
    size       number of the events in the state
    state      paths from the sections `events`, `claims` and `history` to the application hash
    steps      light blocks that lead from the genesis to `block`, in order; absent when none is needed

Verification goes from the known to the claimed: the validators of the genesis, or of a light block whose hash
the caller knows, sign or lead to `block` (`hansa.pubsub.light.chain.verifying`); its header has the state's
hash; the section `events` is below that; each event's leaf (block height, block time, place in its batch,
hash of the batch's JWS) is below the section; and the event's content is below the root that its issuer
signed, with a key that was its own at the event's position. Rules that let members change remember that in
the section `history`; under others the members' keys are those of the genesis. How old the validators'
signatures are does not matter here, other than for a client that follows a league: see
docs/integrators/receipts.md for what that means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from hansa.core.base64url import from_base64url
from hansa.core.batches import EventProof, read_batch, verify_event
from hansa.core.canonical import canonical_json
from hansa.core.closed_json import Form, Integer, ListOf, Record, Text, WithBytes
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.events import CONTENT, LifecycleEvent
from hansa.core.histories import KeyPeriod
from hansa.core.identifiers import is_entity_key
from hansa.core.jws import KEY_ID
from hansa.core.keys import PublicJwk, VerifyingKey
from hansa.core.merkle import leaf_hash, root_of_path
from hansa.pubsub.ledger.commitments.app_hash import SECTIONS, counted, event_leaf, verify_section
from hansa.pubsub.ledger.commitments.claims import CLAIM_SIZE_BYTES, claims_root, decode_claim, issuer_digest
from hansa.pubsub.ledger.commitments.histories import SECTION as HISTORY_SECTION
from hansa.pubsub.ledger_records import Claim
from hansa.pubsub.light.chain.blocks import FOR_BLOCK, LightBlock, power_of
from hansa.pubsub.light.chain.forms import (
    HASH,
    HEIGHT,
    LIGHT_BLOCK,
    base64url_text,
    decoded,
    encoded,
    read_light_block,
)
from hansa.pubsub.light.chain.verifying import Trusted, trusted_block, verified
from hansa.pubsub.light.histories.shown import HISTORY, ProvedHistory, ShownHistory, read_history

FORMAT: Final = "hansa-receipt/1"
RECEIPT_SIZE_MAX_BYTES: Final = 8_388_608
EVENTS_MAX: Final = 100
STEPS_MAX: Final = 256
PATH_MAX: Final = 53
_NUMBER_MAX: Final = 2**53 - 1
_POSITION: Final = Integer(1, _NUMBER_MAX)
_PATH: Final = ListOf(HASH, PATH_MAX)
_COORDINATE: Final = base64url_text(32)

KEY: Final = Record(
    {"crv": Text("P-256|Ed25519"), "kid": KEY_ID, "kty": Text("EC|OKP"), "x": _COORDINATE},
    {"y": _COORDINATE},
)
EVENT: Final = Record(
    {
        "batch": Record(
            {
                "index": Integer(0, 2**32 - 1),
                "jws": Text(r"[A-Za-z0-9_-]{1,4096}\.[A-Za-z0-9_-]{1,4096}\.[A-Za-z0-9_-]{86}"),
            },
            {"path": ListOf(HASH, 16)},
        ),
        "content": WithBytes(CONTENT),
        "height": HEIGHT,
        "position": _POSITION,
        "time_ms": Integer(0, _NUMBER_MAX),
    },
    {"path": _PATH},
)
CLAIMS: Final = Record(
    {"key": Text("[0-9a-f]{64}"), "path": ListOf(HASH, 16)},
    {"bucket": Text("[A-Za-z0-9_-]{2,4194304}")},
)
_REQUIRED: Final[Mapping[str, Form]] = {
    "block": LIGHT_BLOCK,
    "chain_id": Text(r"[!#-\[\]-~]{1,50}"),
    "format": Text(FORMAT),
    "ruleset": Text("[a-z0-9/-]{1,64}"),
    "state": Record({}, {"claims": _PATH, "events": _PATH, "history": _PATH}),
}
_OPTIONAL: Final[Mapping[str, Form]] = {
    "claims": CLAIMS,
    "events": ListOf(EVENT, EVENTS_MAX),
    "history": HISTORY,
    "keys": ListOf(KEY, 16),
    "root": HASH,
    "size": Integer(0, _NUMBER_MAX),
    "steps": ListOf(LIGHT_BLOCK, STEPS_MAX),
}
RECEIPT: Final = Record({**_REQUIRED, "digest": HASH}, _OPTIONAL)
_CONTENT: Final = Record(_REQUIRED, _OPTIONAL)
"""Of which the digest is."""


class ProvedEvent(msgspec.Struct, frozen=True):
    """An event that a receipt proves."""

    event: LifecycleEvent
    position: int
    height: int
    """Of the block that committed it."""
    time_ms: int
    """Of that block; milliseconds since 1970."""
    is_signature_verified: bool
    """Whether its issuer's signature was verified here; else its key was not there, and the league's
    validators verified the signature when they committed the event."""
    key: KeyPeriod | None = None
    """The key that signed it, and when it was valid; None under rules that remember no history."""


class ProvedClaim(msgspec.Struct, frozen=True):
    """The latest version of an entity of one issuer, as a receipt proves it."""

    issuer_digest: str
    """SHA-256 of the issuer's DID; hex."""
    claim: Claim


class VerifiedReceipt(msgspec.Struct, frozen=True):
    """What a receipt proves."""

    chain_id: str
    ruleset: str
    height: int
    """Of the block that signs the state."""
    time_ns: int
    signers: int
    """Validators who signed it."""
    validators: int
    power: int
    """Voting power of those who signed it."""
    power_total: int
    steps: int
    """Light blocks on the way from what was known."""
    events: tuple[ProvedEvent, ...] = ()
    key: str | None = None
    """The entity key whose claims are proved; None where none are."""
    claims: tuple[ProvedClaim, ...] = ()
    """All claims on the key; none when it is unknown to the ledger."""
    history: ProvedHistory | None = None
    """Keys and endpoints of members; None where none are proved."""
    block_hash: str = ""
    """Of the block that signs the state; hex. With its height, what a later verification can begin with."""


class KnownKeys(msgspec.Struct, frozen=True):
    """Keys of members by DID and name, as a genesis has them."""

    by_name: Mapping[tuple[str, str], PublicJwk] = {}


def verify_receipt(
    raw: bytes, trusted: Trusted, keys: KnownKeys, pinned: tuple[int, bytes] | None = None
) -> VerifiedReceipt:
    """What a receipt proves to somebody who trusts a genesis, or a light block of it.

    Args:
        raw: The file.
        trusted: The validators of the genesis.
        keys: Of members, to verify their signatures.
        pinned: Height and hash of a header that the caller knows by other means; one of the receipt's light
            blocks has to be it, and nothing before it matters.

    Raises:
        Refused: `Code.PROOF_INVALID`, with the reason.
    """
    if len(raw) > RECEIPT_SIZE_MAX_BYTES:
        raise _invalid(f"It has more than {RECEIPT_SIZE_MAX_BYTES} bytes")
    try:
        fields = RECEIPT.read(raw)
    except Refused as error:
        raise _invalid(f"It is not a whole receipt in its one form: {error.message.rstrip('.')}") from error
    if fields["digest"] != digest_of(fields):
        raise _invalid("It is damaged: its digest is another")
    chain_id = fields["chain_id"]
    if chain_id != trusted.chain_id:
        raise _invalid(f"It is of the league {chain_id!r}, and the genesis is of {trusted.chain_id!r}")
    if not fields.keys() & {"events", "claims", "history"}:
        raise _invalid("It proves nothing")
    blocks = [read_light_block(one, chain_id) for one in (*fields.get("steps", ()), fields["block"])]
    steps = _follow(blocks, trusted, pinned)
    block = blocks[-1]
    history = _history(fields, block.header.app_hash)
    events = _events(fields, block.header.app_hash, keys, history)
    key, claims = _claims(fields, block.header.app_hash)
    _check_together(events, key, claims)
    addresses = frozenset(
        one.address
        for one, vote in zip(block.validators.validators, block.commit.votes, strict=True)
        if vote.flag == FOR_BLOCK
    )
    return VerifiedReceipt(
        chain_id=chain_id,
        ruleset=fields["ruleset"],
        height=block.height,
        time_ns=block.header.time_ns,
        signers=len(addresses),
        validators=len(block.validators.validators),
        power=power_of(addresses, block.validators),
        power_total=block.validators.total_power,
        steps=steps,
        events=events,
        key=key,
        claims=claims,
        history=_proved(history, fields),
        block_hash=block.header.hash.hex(),
    )


def digest_of(fields: Mapping[str, Any]) -> str:
    """The digest of a receipt of these fields."""
    return encoded(
        hashlib.sha256(
            _CONTENT.write({name: value for name, value in fields.items() if name != "digest"})
        ).digest()
    )


def _follow(blocks: Sequence[LightBlock], trusted: Trusted, pinned: tuple[int, bytes] | None) -> int:
    """Follow light blocks from what is trusted; how many steps there were."""
    if pinned is not None:
        place = next((at for at, one in enumerate(blocks) if one.height == pinned[0]), None)
        if place is None:
            raise _invalid(f"It does not lead over height {pinned[0]}, which is the one that is trusted")
        if blocks[place].header.hash != pinned[1]:
            raise _invalid(f"Its block of height {pinned[0]} is another than the one that is trusted")
        verified(trusted_before(blocks[place]), blocks[place])
        trusted, blocks = trusted_block(blocks[place]), blocks[place + 1 :]
    for block in blocks:
        trusted = verified(trusted, block)
    return len(blocks)


def trusted_before(block: LightBlock) -> Trusted:
    """What is trusted of a light block whose hash is known: its own validators."""
    header = block.header
    return Trusted(header.chain_id, header.height - 2, 0, block.validators, b"")


def _history(fields: Mapping[str, Any], app_hash: bytes) -> ShownHistory | None:
    """What is shown of the members' history, as the application hash commits to it."""
    shown = read_history(fields["history"], fields["ruleset"]) if "history" in fields else None
    if shown is None or shown.content is None:
        if "history" in fields["state"]:
            raise _invalid("It has a path of no history")
    else:
        _check_section(fields, "history", shown.content, app_hash)
    if "root" in fields:
        if "events" in fields or shown is None or shown.member is None or "size" not in fields:
            raise _invalid("It has a root of the events that nothing needs")
        content = counted(fields["size"], decoded(fields["root"]))
        _check_section(fields, "events", content, app_hash)
    elif "events" not in fields and shown is not None:
        raise _invalid("It does not show how many events there were")
    return shown


def _proved(shown: ShownHistory | None, fields: Mapping[str, Any]) -> ProvedHistory | None:
    if shown is None:
        return None
    keys, endpoints = shown.history.keys, shown.history.endpoints
    if shown.member is not None:  # records of others stand beside its own to prove that those are all
        keys = tuple(one for one in keys if one.did == shown.member)
        endpoints = tuple(one for one in endpoints if one.did == shown.member)
    return ProvedHistory(shown.member, fields.get("size", 0), shown.content is None, keys, endpoints)


def _events(
    fields: Mapping[str, Any], app_hash: bytes, keys: KnownKeys, history: ShownHistory | None
) -> tuple[ProvedEvent, ...]:
    rows = fields.get("events", ())
    if not rows:
        if "keys" in fields or ("root" not in fields and ("size" in fields or "events" in fields["state"])):
            raise _invalid("It has parts that belong to no event")
        return ()
    size = fields.get("size", 0)
    section: bytes | None = None
    for row in rows:
        path = [decoded(one) for one in row.get("path", ())]
        batch_digest = hashlib.sha256(row["batch"]["jws"].encode("ascii")).digest()
        leaf = leaf_hash(event_leaf(row["height"], row["time_ms"], row["batch"]["index"], batch_digest))
        root = root_of_path(leaf, row["position"] - 1, size, path)
        content = b"" if root is None else counted(size, root)
        if not content or section not in {None, content}:
            raise _invalid(f"The path of the event at position {row['position']} leads to no common root")
        section = content
    assert section is not None, "there is an event"
    _check_section(fields, "events", section, app_hash)
    signers = _Signers(fields, keys, history)
    events = tuple(_event(row, signers) for row in rows)
    signers.check_all_needed()
    return events


class _Signers:
    """The keys of a receipt's events, as far as they are there.

    Args:
        fields: Of the receipt.
        known: Of members, as the genesis has them.
        history: What is proved of the members' keys.
    """

    def __init__(self, fields: Mapping[str, Any], known: KnownKeys, history: ShownHistory | None) -> None:
        self._has_history = HISTORY_SECTION in SECTIONS[fields["ruleset"]]
        self._history = history
        self._known = known
        self._sent = {one["kid"]: _own_key(one) for one in fields.get("keys", ())}
        if len(self._sent) < len(fields.get("keys", ())):
            raise _invalid("It has a key twice")
        if self._sent and self._has_history:
            raise _invalid("It has a key that no event needs")
        self._used: set[tuple[str, str]] = set()

    def key(self, did: str, kid: str, position: int) -> tuple[PublicJwk | None, KeyPeriod | None]:
        """The key with which a member signed the event at a position, and when that was valid.

        Raises:
            Refused: `Code.PROOF_INVALID`: it was not valid then.
        """
        self._used.add((did, kid))
        if not self._has_history:
            return self._sent.get(kid) or self._known.by_name.get((did, kid)), None
        period = None if self._history is None else self._history.history.period(did, kid)
        if period is None:
            raise _invalid(
                f"It does not show that the key {kid} of the event at position {position} is of {did}"
            )
        if not period.includes(position):
            raise _invalid(f"The key {kid} of {did} was not valid at position {position}")
        return period.jwk, period

    def check_all_needed(self) -> None:
        """Refuse a receipt with keys that sign none of its events."""
        shown = self._history
        is_more = shown is not None and shown.member is None and shown.count > len(self._used)
        if is_more or not self._sent.keys() <= {kid for _, kid in self._used}:
            raise _invalid("It has a key that no event needs")


def _event(row: Mapping[str, Any], signers: _Signers) -> ProvedEvent:
    batch, position = row["batch"], row["position"]
    proof = EventProof(
        batch["jws"], batch["index"], tuple(decoded(one).hex() for one in batch.get("path", ()))
    )
    try:
        signed, jws = read_batch(proof.jws)
        jwk, period = signers.key(signed.issuer, jws.kid, position)
        event = verify_event(row["content"][0], proof, VerifyingKey(jwk) if jwk is not None else None)
    except HansaError as error:
        if error.code is Code.PROOF_INVALID:
            raise
        raise _invalid(
            f"The event at position {position} is not what its issuer signed: {error.message}"
        ) from error
    return ProvedEvent(event, position, row["height"], row["time_ms"], jwk is not None, period)


def _own_key(fields: Mapping[str, Any]) -> PublicJwk:
    """A key that comes with the receipt: its name is its thumbprint (RFC 7638), so it is no other's."""
    key = PublicJwk(**fields)
    if thumbprint(key) != key.kid:
        raise _invalid("A key is not the one that its name says")
    return key


def thumbprint(key: PublicJwk) -> str:
    """The thumbprint of a key (RFC 7638, SHA-256, base64url)."""
    members = {name: value for name in ("crv", "kty", "x", "y") if (value := getattr(key, name))}
    return encoded(hashlib.sha256(canonical_json(members)).digest())


def _claims(fields: Mapping[str, Any], app_hash: bytes) -> tuple[str | None, tuple[ProvedClaim, ...]]:
    if "claims" not in fields:
        if "claims" in fields["state"]:
            raise _invalid("It has parts that belong to no claims")
        return None, ()
    part = fields["claims"]
    key = part["key"]
    assert is_entity_key(key), "the form has such keys alone"
    bucket = _bucket(part.get("bucket", ""))
    path = [decoded(one) for one in part["path"]]
    result = claims_root(key, bucket, path)
    if result is None:
        raise _invalid("Its claims are not those of one bucket")
    root, records = result
    _check_section(fields, "claims", root, app_hash)
    return key, tuple(ProvedClaim(record[32:64].hex(), decode_claim(record, "")) for record in records)


def _check_together(events: Sequence[ProvedEvent], key: str | None, claims: Sequence[ProvedClaim]) -> None:
    """Check that events and claims of one receipt are about the same."""
    if any(one.position >= other.position for one, other in pairwise(events)):
        raise _invalid("Its events are not in the order of their positions")
    if key is None:
        return
    last = {claim.issuer_digest: claim.claim for claim in claims}
    for one in events:
        claim = last.get(issuer_digest(one.event.issuer).hex())
        if one.event.entity.key != key or claim is None or one.position > claim.last_position:
            raise _invalid("Its claims are not those of its events")


def _bucket(text: str) -> bytes:
    try:
        raw = from_base64url(text)
    except ValueError as error:
        raise _invalid("Its claims are not in their one form") from error
    if len(raw) % CLAIM_SIZE_BYTES:
        raise _invalid("Its claims are not in their one form")
    return raw


def _check_section(fields: Mapping[str, Any], name: str, content: bytes, app_hash: bytes) -> None:
    ruleset = fields["ruleset"]
    if ruleset not in SECTIONS:
        raise _invalid(f"This release does not know the rules {ruleset!r}")
    path = [decoded(one) for one in fields["state"].get(name, ())]
    if not verify_section(ruleset, name, content, path, app_hash):
        raise _invalid(
            f"The state that the block of height {fields['block']['header']['height']} signs has other {name}"
        )
    # The first hash on the path of `events` is the leaf of the rules' name beside it.
    if name == "events" and path[0] != leaf_hash(b"ruleset\x00" + ruleset.encode("ascii")):
        raise _invalid("The state was made by other rules")


def is_of_issuer(claim: ProvedClaim, did: str) -> bool:
    """Whether a claim is that of an issuer."""
    return claim.issuer_digest == issuer_digest(did).hex()


def _invalid(reason: str) -> Refused:
    return Refused(Code.PROOF_INVALID, f"The receipt does not hold. {reason.rstrip('.')}.")
