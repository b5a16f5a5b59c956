"""Light blocks in the JSON of the engine's RPC (`commit` and `validators`), read and written.

What is read comes from other members, or from whoever is at their address: it is bounded in size, and every
number, hash and time has one form here. Numbers of 64 bits are texts, hashes hexadecimal in upper case,
signatures and keys base64, times RFC 3339 with up to nine digits of a second.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.errors import Code, Refused
from hansa.pubsub.light.chain.blocks import ABSENT, Commit, LightBlock, SignedVote
from hansa.pubsub.light.chain.header import BlockId, Header
from hansa.pubsub.light.chain.validators import (
    KEY_TYPES,
    RPC_KEY_TYPES,
    TOTAL_POWER_MAX,
    VALIDATORS_MAX,
    LightValidator,
    ValidatorSet,
)

RESULT_SIZE_MAX_BYTES: Final = 8_388_608
"""Of one answer: a commit of `VALIDATORS_MAX` with the largest signatures is smaller."""
CHAIN_ID_MAX_CHARS: Final = 50

_TIME: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_NUMBER_MAX: Final = 2**63 - 1
_HEX: Final = re.compile(r"(?:[0-9A-F]{2})*", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""Of a vote that is absent."""
_NS: Final = 1_000_000_000
_HASH_SIZES: Final = {0, 32}
_ADDRESS_SIZES: Final = {20}


class _Parts(msgspec.Struct, frozen=True):
    total: int
    hash: str


class _BlockId(msgspec.Struct, frozen=True):
    hash: str
    parts: _Parts


class _Version(msgspec.Struct, frozen=True):
    block: str
    app: str = "0"


class _Header(msgspec.Struct, frozen=True):
    version: _Version
    chain_id: str
    height: str
    time: str
    last_block_id: _BlockId
    last_commit_hash: str
    data_hash: str
    validators_hash: str
    next_validators_hash: str
    consensus_hash: str
    app_hash: str
    last_results_hash: str
    evidence_hash: str
    proposer_address: str


class _Vote(msgspec.Struct, frozen=True):
    block_id_flag: int
    validator_address: str
    timestamp: str
    signature: str | None = None


class _Commit(msgspec.Struct, frozen=True):
    height: str
    round: int
    block_id: _BlockId
    signatures: list[_Vote]


class _SignedHeader(msgspec.Struct, frozen=True):
    header: _Header
    commit: _Commit


class _CommitResult(msgspec.Struct, frozen=True):
    signed_header: _SignedHeader


class _Key(msgspec.Struct, frozen=True):
    type: str
    value: str


class _Validator(msgspec.Struct, frozen=True):
    pub_key: _Key
    voting_power: str


class _ValidatorsResult(msgspec.Struct, frozen=True):
    validators: list[_Validator]
    total: str


_T = TypeVar("_T")


def read_commit(raw: bytes) -> tuple[Header, Commit, tuple[bytes, ...]]:
    """The result of `commit`: header, commit, and the addresses that the commit's places name.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    signed = _decoded(raw, _CommitResult).signed_header
    header, commit = _header(signed.header), signed.commit
    if _number(commit.height) != header.height or _bytes(commit.block_id.hash, {32}) != header.hash:
        raise _malformed("the commit is of another block")
    if len(commit.signatures) > VALIDATORS_MAX or not 0 <= commit.round < 2**31:
        raise _malformed("the commit is too large")
    block_id = _block_id(commit.block_id)
    votes = tuple(_vote(vote) for vote in commit.signatures)
    addresses = tuple(
        _bytes(vote.validator_address, {0} if vote.block_id_flag == ABSENT else _ADDRESS_SIZES)
        for vote in commit.signatures
    )
    return header, Commit(commit.round, block_id.parts_total, block_id.parts_hash, votes), addresses


def read_header(raw: bytes) -> Header:
    """A header by itself, as in the results of `blockchain`.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    return _header(_decoded(raw, _Header))


def read_validators(pages: Sequence[bytes]) -> ValidatorSet:
    """The results of `validators`: one for each page.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    validators: list[LightValidator] = []
    for raw in pages:
        page = _decoded(raw, _ValidatorsResult)
        validators += map(_validator, page.validators)
        if len(validators) > VALIDATORS_MAX:
            raise _malformed("there are too many validators")
    made = ValidatorSet(tuple(validators))
    made.check()
    return made


def total_of(raw: bytes) -> int:
    """How many validators a set has, by one of its pages.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    total = _number(_decoded(raw, _ValidatorsResult).total)
    if not 1 <= total <= VALIDATORS_MAX:
        raise _malformed("there are too many validators, or none")
    return total


def light_block(commit_result: bytes, validators: ValidatorSet) -> LightBlock:
    """A light block of an answer to `commit`, and the validators of its height; it is not verified yet.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    header, commit, addresses = read_commit(commit_result)
    ordered = [one.address for one in validators.validators]
    if len(ordered) != len(addresses) or any(
        named not in {b"", address} for named, address in zip(addresses, ordered, strict=True)
    ):
        raise _malformed("the commit names other validators than the set")
    return LightBlock(header, commit, validators)


def write_commit(block: LightBlock) -> dict[str, Any]:
    """The result of `commit`."""
    header, commit = block.header, block.commit
    return {
        "signed_header": {
            "header": {
                "version": {"block": str(header.version_block), "app": str(header.version_app)},
                "chain_id": header.chain_id,
                "height": str(header.height),
                "time": time_text(header.time_ns),
                "last_block_id": _block_id_form(header.last_block_id),
                **{name: getattr(header, name).hex().upper() for name in _HASHES},
                "proposer_address": header.proposer_address.hex().upper(),
            },
            "commit": {
                "height": str(header.height),
                "round": commit.round,
                "block_id": _block_id_form(block.block_id),
                "signatures": [
                    _vote_form(vote, one)
                    for vote, one in zip(commit.votes, block.validators.validators, strict=True)
                ],
            },
        },
        "canonical": True,
    }


def write_validators(height: int, validators: ValidatorSet, page: int, per_page: int) -> dict[str, Any]:
    """The result of `validators`: one page, counted from 1. Proposers' priorities are not known here."""
    first = (page - 1) * per_page
    shown = validators.validators[first : first + per_page]
    return {
        "block_height": str(height),
        "validators": [
            {
                "address": one.address.hex().upper(),
                "pub_key": {
                    "type": KEY_TYPES[one.key_type].rpc_name,
                    "value": base64.b64encode(one.public_key).decode(),
                },
                "voting_power": str(one.power),
                "proposer_priority": "0",
            }
            for one in shown
        ],
        "count": str(len(shown)),
        "total": str(len(validators.validators)),
    }


def time_ns_of(text: str) -> int:
    """Nanoseconds since 1970 of a time as the engine writes it.

    Raises:
        Refused: `Code.PROOF_INVALID`.
    """
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text[:40])
        year, month, day, hour, minute, second = map(int, match.groups()[:6])
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise _malformed("a time is not RFC 3339 in UTC") from error
    return (moment - _EPOCH) // _SECOND * _NS + int((match[7] or "").ljust(9, "0"))


def time_text(time_ns: int) -> str:
    """RFC 3339 with as many digits of a second as it needs, as Go writes it."""
    seconds, nanos = divmod(time_ns, _NS)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return (_EPOCH + seconds * _SECOND).strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


_HASHES: Final = (
    *("last_commit_hash", "data_hash", "validators_hash", "next_validators_hash", "consensus_hash"),
    *("app_hash", "last_results_hash", "evidence_hash"),
)


def _header(header: _Header) -> Header:
    if len(header.chain_id) > CHAIN_ID_MAX_CHARS:
        raise _malformed("the name of the ledger is too long")
    return Header(
        version_block=_number(header.version.block),
        version_app=_number(header.version.app),
        chain_id=header.chain_id,
        height=_number(header.height),
        time_ns=time_ns_of(header.time),
        last_block_id=_block_id(header.last_block_id),
        proposer_address=_bytes(header.proposer_address, _ADDRESS_SIZES),
        **{name: _bytes(getattr(header, name), _HASH_SIZES) for name in _HASHES},
    )


def _block_id(one: _BlockId) -> BlockId:
    if not 0 <= one.parts.total < 2**32:
        raise _malformed("a block has too many parts")
    return BlockId(_bytes(one.hash, _HASH_SIZES), one.parts.total, _bytes(one.parts.hash, _HASH_SIZES))


def _block_id_form(one: BlockId) -> dict[str, Any]:
    parts = {"total": one.parts_total, "hash": one.parts_hash.hex().upper()}
    return {"hash": one.hash.hex().upper(), "parts": parts}


def _vote(vote: _Vote) -> SignedVote:
    if vote.block_id_flag == ABSENT:
        if vote.signature:
            raise _malformed("an absent validator has a signature")
        return SignedVote()
    return SignedVote(vote.block_id_flag, time_ns_of(vote.timestamp), _base64(vote.signature or ""))


def _vote_form(vote: SignedVote, validator: LightValidator) -> dict[str, Any]:
    is_absent = vote.flag == ABSENT
    return {
        "block_id_flag": vote.flag,
        "validator_address": "" if is_absent else validator.address.hex().upper(),
        "timestamp": _ZERO_TIME if is_absent else time_text(vote.time_ns),
        "signature": None if is_absent else base64.b64encode(vote.signature).decode(),
    }


def _validator(one: _Validator) -> LightValidator:
    kind = RPC_KEY_TYPES.get(one.pub_key.type)
    if kind is None:
        raise _malformed("a validator has a key of an unknown type")
    key, power = _base64(one.pub_key.value), _number(one.voting_power)
    if len(key) != kind.key_size_bytes or power > TOTAL_POWER_MAX:
        raise _malformed("a validator's key or power is out of bounds")
    return LightValidator(key, power, kind.name)


def _decoded(raw: bytes, type: type[_T]) -> _T:
    if len(raw) > RESULT_SIZE_MAX_BYTES:
        raise _malformed("it is too large")
    try:
        return msgspec.json.decode(raw, type=type)
    except UNREADABLE as error:
        raise _malformed("it is not of the form of the engine's RPC") from error


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) > _NUMBER_MAX:
        raise _malformed("a number is not a whole one of 63 bits")
    return int(text)


def _bytes(text: str, sizes: set[int]) -> bytes:
    if _HEX.fullmatch(text) is None or len(text) // 2 not in sizes:
        raise _malformed("a hash or address is not of its size, in hexadecimal")
    return bytes.fromhex(text)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _malformed("a key or signature is not base64") from error


def _malformed(reason: str) -> Refused:
    return Refused(Code.PROOF_INVALID, f"The light block cannot be read: {reason}.")
