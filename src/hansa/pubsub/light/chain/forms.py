"""Light blocks as closed JSON: one byte string each, compact, with everything that is hashed or signed.

What follows from something else is left out: hashes of headers and of validator sets, addresses, the names
of the chain. So no byte of it can be changed without changing what a signature or a hash covers. Hashes,
keys and signatures are base64url without padding; times are seconds and nine digits of a second.

    block       {"commit":…, "header":…, "validators":[…]}
    commit      {"parts":{"hash":…,"total":…}, "round":…, "votes":[{"flag":1}, {"flag":2,"signature":…,…}]}
    header      {"app_hash":…, "consensus_hash":…, …, "version":{"app":…,"block":…}}
    validators  [{"key":…,"power":…}]       with "type":"ml-dsa-65" for a key that is not Ed25519
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

from hansa.core.base64url import to_base64url
from hansa.core.closed_json import Integer, ListOf, Record, Text
from hansa.core.errors import Code, Refused
from hansa.pubsub.light.chain.blocks import (
    ABSENT,
    FOR_BLOCK,
    FOR_NIL,
    HEIGHT_MAX,
    Commit,
    LightBlock,
    SignedVote,
)
from hansa.pubsub.light.chain.header import BlockId, Header
from hansa.pubsub.light.chain.validators import (
    ED25519,
    KEY_TYPES,
    ML_DSA_65,
    TOTAL_POWER_MAX,
    VALIDATORS_MAX,
    LightValidator,
    ValidatorSet,
)

_NS: Final = 1_000_000_000
_LAST_BITS: Final = "AEIMQUYcgkosw048"
"""The last letters that base64url of 32 bytes can have: what is left over is zero."""


def base64url_text(*sizes_bytes: int) -> Text:
    """A text that is the one base64url form of bytes of these sizes."""
    return Text("|".join(_base64url_pattern(size) for size in sizes_bytes))


def _base64url_pattern(size_bytes: int) -> str:
    whole, rest = divmod(size_bytes, 3)
    last = ("", "[A-Za-z0-9_-][AQgw]", f"[A-Za-z0-9_-]{{2}}[{_LAST_BITS}]")[rest]
    return f"[A-Za-z0-9_-]{{{4 * whole}}}{last}"


HASH: Final = base64url_text(32)
_HASH_OR_NONE: Final = Text("|" + _base64url_pattern(32))
TIME: Final = Text(r"(?:0|[1-9][0-9]{0,10})\.[0-9]{9}")
HEIGHT: Final = Integer(1, HEIGHT_MAX)
_PARTS: Final = Record({"hash": _HASH_OR_NONE, "total": Integer(0, 2**32 - 1)})

_HASHES: Final = (
    *("app_hash", "consensus_hash", "data_hash", "evidence_hash", "last_commit_hash", "last_results_hash"),
    *("next_validators_hash", "validators_hash"),
)
HEADER: Final = Record(
    {
        **dict.fromkeys(_HASHES, _HASH_OR_NONE),
        "height": HEIGHT,
        "last_block": Record({"hash": _HASH_OR_NONE, "parts": _PARTS}),
        "proposer": base64url_text(20),
        "time": TIME,
        "version": Record({"app": Integer(0, 2**53 - 1), "block": Integer(0, 2**53 - 1)}),
    }
)
VOTE: Final = Record(
    {"flag": Integer(ABSENT, FOR_NIL)},
    {
        "signature": base64url_text(ED25519.signature_size_bytes, ML_DSA_65.signature_size_bytes),
        "time": TIME,
    },
)
COMMIT: Final = Record(
    {"parts": _PARTS, "round": Integer(0, 2**31 - 1), "votes": ListOf(VOTE, VALIDATORS_MAX)}
)
VALIDATOR: Final = Record(
    {
        "key": base64url_text(ED25519.key_size_bytes, ML_DSA_65.key_size_bytes),
        "power": Integer(1, min(TOTAL_POWER_MAX, 2**53 - 1)),
    },
    {"type": Text(re.escape(ML_DSA_65.name))},
)
VALIDATORS: Final = ListOf(VALIDATOR, VALIDATORS_MAX)
LIGHT_BLOCK: Final = Record({"commit": COMMIT, "header": HEADER, "validators": VALIDATORS})
"""How a light block is written; `light_block_fields` and `read_light_block` are the two directions."""


def light_block_fields(block: LightBlock) -> dict[str, Any]:
    """A light block as the fields of `LIGHT_BLOCK`."""
    header, commit = block.header, block.commit
    last = header.last_block_id
    return {
        "commit": {
            "parts": {"hash": encoded(commit.parts_hash), "total": commit.parts_total},
            "round": commit.round,
            "votes": tuple(map(_vote_fields, commit.votes)),
        },
        "header": {
            **{name: encoded(getattr(header, name)) for name in _HASHES},
            "height": header.height,
            "last_block": {
                "hash": encoded(last.hash),
                "parts": {"hash": encoded(last.parts_hash), "total": last.parts_total},
            },
            "proposer": encoded(header.proposer_address),
            "time": time_text(header.time_ns),
            "version": {"app": header.version_app, "block": header.version_block},
        },
        "validators": tuple(map(_validator_fields, block.validators.validators)),
    }


def read_light_block(fields: Mapping[str, Any], chain_id: str) -> LightBlock:
    """A light block of fields of the form `LIGHT_BLOCK`; it is not verified yet.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    header, commit = fields["header"], fields["commit"]
    last = header["last_block"]
    return LightBlock(
        Header(
            version_block=header["version"]["block"],
            version_app=header["version"]["app"],
            chain_id=chain_id,
            height=header["height"],
            time_ns=time_ns_of(header["time"]),
            last_block_id=BlockId(
                decoded(last["hash"]), last["parts"]["total"], decoded(last["parts"]["hash"])
            ),
            proposer_address=decoded(header["proposer"]),
            **{name: decoded(header[name]) for name in _HASHES},
        ),
        Commit(
            commit["round"],
            commit["parts"]["total"],
            decoded(commit["parts"]["hash"]),
            tuple(map(_vote, commit["votes"])),
        ),
        ValidatorSet(tuple(map(_validator, fields["validators"]))),
    )


def encoded(raw: bytes) -> str:
    """Bytes as base64url without padding."""
    return to_base64url(raw)


def decoded(text: str) -> bytes:
    """The bytes of a text that a form has read."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def time_text(time_ns: int) -> str:
    """Seconds since 1970, and nine digits of a second."""
    seconds, nanos = divmod(time_ns, _NS)
    return f"{seconds}.{nanos:09d}"


def time_ns_of(text: str) -> int:
    """Nanoseconds since 1970 of a text that a form has read."""
    seconds, _, nanos = text.partition(".")
    return int(seconds) * _NS + int(nanos)


def _vote_fields(vote: SignedVote) -> dict[str, Any]:
    if vote.flag == ABSENT:
        return {"flag": ABSENT}
    return {"flag": vote.flag, "signature": encoded(vote.signature), "time": time_text(vote.time_ns)}


def _vote(fields: Mapping[str, Any]) -> SignedVote:
    if fields["flag"] in {FOR_BLOCK, FOR_NIL} and len(fields) == len(("flag", "signature", "time")):
        return SignedVote(fields["flag"], time_ns_of(fields["time"]), decoded(fields["signature"]))
    if len(fields) > 1:
        raise Refused(Code.PROOF_INVALID, "A vote that is there has a time and a signature, and no other.")
    if fields["flag"] != ABSENT:
        raise Refused(Code.PROOF_INVALID, "A vote lacks its signature.")
    return SignedVote()


def _validator_fields(one: LightValidator) -> dict[str, Any]:
    kind = {} if one.key_type == ED25519.name else {"type": one.key_type}
    return {"key": encoded(one.public_key), "power": one.power, **kind}


def _validator(fields: Mapping[str, Any]) -> LightValidator:
    kind = KEY_TYPES[fields.get("type", ED25519.name)]
    key = decoded(fields["key"])
    if len(key) != kind.key_size_bytes:
        raise Refused(Code.PROOF_INVALID, "A validator's key has not the size of its type.")
    return LightValidator(key, fields["power"], kind.name)
