"""What the members agree on before the first block: who they are, and the limits that decide about validity.

Limits that decide whether a transaction is valid must be the same everywhere, so they come from the genesis
document (`app_state`) and never from anybody's settings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from hansa.core.batches import EVENTS_MAX
from hansa.core.bounded_json import UNREADABLE
from hansa.core.closed_json import Form, Integer, Record
from hansa.core.closed_structs import StructForm
from hansa.core.curve_points import is_ed25519_point
from hansa.core.errors import Code, Fatal, Refused
from hansa.core.identifiers import is_did, is_identifier_prefix
from hansa.core.keys import VerifyingKey
from hansa.core.members import (
    MEMBER,
    VALIDATOR_KEY_PATTERN,
    VALIDATOR_KEY_PATTERN_3,
    Member,
    is_node_id,
    normal_endpoint,
)
from hansa.pubsub.ledger.commitments.app_hash import NEWEST_RULESET, RULESET_3, SECTIONS

ED25519_DIGITS: Final = 64


class LedgerParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consensus-critical limits."""

    event_size_max_bytes: int = 4096
    """Greatest size of the content of an event."""
    events_per_transaction_max: int = 100
    """Greatest number of events that are signed together."""
    transaction_size_max_bytes: int = 262_144
    """Greatest size of a transaction."""
    event_ahead_max_s: int = 300
    """How far an event's time may lie after that of its block. Block time lags by up to `heartbeat_s`."""
    event_behind_max_s: int = 86_400
    """How far an event's time may lie before that of its block."""
    heartbeat_s: int = 60
    """Longest time without a block."""
    issuer_events_per_s: int = 250
    """What an issuer may publish over a long time."""
    issuer_bytes_per_s: int = 250_000
    """The same in bytes, of batches and contents."""
    issuer_burst_s: int = 120
    """How many seconds' worth of it an issuer may publish at once."""
    issuer_bytes_per_day: int = 1_073_741_824
    """What an issuer may publish on a day, UTC."""
    elsi_certificate_required: int = 1
    """Whether a new key of a did:elsi needs a certificate: 1 or 0."""
    threshold_anchor_sixtieths: int = 40
    """A proposal passes with *more* than so many sixtieths of the voting power; 40: more than 2/3."""
    threshold_issuer_sixtieths: int = 40
    """The same for changes of trusted issuers."""
    threshold_member_put_sixtieths: int = 40
    """The same for admitting a member."""
    threshold_member_status_sixtieths: int = 40
    """The same for suspending and removing one."""
    threshold_param_sixtieths: int = 40
    """The same for changing a limit of the league."""
    threshold_policy_sixtieths: int = 40
    """The same for the table of policies."""
    threshold_power_sixtieths: int = 40
    """The same for a change of voting power."""
    threshold_suspension_sixtieths: int = 20
    """Of the emergency suspension; 20: more than a third."""
    threshold_upgrade_sixtieths: int = 40
    """The same for a plan to go on under other rules."""
    proposal_size_max_bytes: int = 65_536
    """Greatest size of a proposal or statement, as compact JWS."""
    proposals_open_max: int = 256
    """Greatest number of proposals that are open."""
    proposals_open_per_proposer_max: int = 8
    """Greatest number of those of one member."""
    proposal_life_max_blocks: int = 100_000_000
    """Greatest number of blocks for which a proposal is open."""
    proposal_life_max_s: int = 2_592_000
    """Longest time for which a proposal is open."""
    proposal_retention_s: int = 2_592_000
    """How long one that did not pass is remembered; one that passed is for ever."""
    suspension_max_s: int = 259_200
    """Longest emergency suspension, and the pause before the next one of the same member."""
    trust_period_s: int = 1_209_600
    """No two validator sets within so long differ by more than a third of the power: what light clients rely
    on."""
    governance_units_per_hour: int = 600
    """Quota of each member's governance transactions: one unit, and one more for every 4,096 bytes."""
    governance_burst_units: int = 300
    """How many units a member may use at once."""


_LIMITS_3: Final[Mapping[str, Form]] = {
    "event_ahead_max_s": Integer(1, 86_400),
    "event_behind_max_s": Integer(1, 366 * 86_400),
    "event_size_max_bytes": Integer(1, 1_048_576),
    "events_per_transaction_max": Integer(1, EVENTS_MAX),
    "heartbeat_s": Integer(1, 86_400),
    "issuer_burst_s": Integer(1, 86_400),
    "issuer_bytes_per_day": Integer(1, 2**50),
    "issuer_bytes_per_s": Integer(1, 10**8),
    "issuer_events_per_s": Integer(1, 10**6),
    "transaction_size_max_bytes": Integer(1, 16_777_216),
}
"""Under `hansa-ledger/3`."""

_THRESHOLDS: Final = (
    *("anchor", "issuer", "member_put", "member_status", "param", "policy", "power", "upgrade"),
)

_LIMITS_4: Final[Mapping[str, Form]] = {
    "elsi_certificate_required": Integer(0, 1),
    "governance_burst_units": Integer(32, 100_000),
    "governance_units_per_hour": Integer(32, 1_000_000),
    "proposal_life_max_blocks": Integer(100, 2**48),
    "proposal_life_max_s": Integer(60, 366 * 86_400),
    "proposal_retention_s": Integer(0, 3660 * 86_400),
    "proposal_size_max_bytes": Integer(4096, 1_048_576),
    "proposals_open_max": Integer(16, 4096),
    "proposals_open_per_proposer_max": Integer(1, 256),
    "suspension_max_s": Integer(1, 366 * 86_400),
    **{f"threshold_{name}_sixtieths": Integer(30, 59) for name in _THRESHOLDS},
    "threshold_suspension_sixtieths": Integer(20, 59),
    "trust_period_s": Integer(1, 366 * 86_400),
}
"""The further ones under `hansa-ledger/4`; each has a default."""

PARAMETERS: Final = StructForm(LedgerParams, _LIMITS_3, _LIMITS_4)
"""How the limits are stored and hashed: the first ones always, a further one when it is not its default."""

PARAMETERS_3: Final = Record(_LIMITS_3)
"""The same under `hansa-ledger/3`."""


class AppState(msgspec.Struct, frozen=True):
    """The `app_state` of a genesis document."""

    members: tuple[Member, ...]
    params: LedgerParams = LedgerParams()
    ruleset: str = NEWEST_RULESET
    """By which rules the league judges."""


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same, as it is written: with every limit, so that no release can give it another meaning."""

    members: tuple[Member, ...]
    params: dict[str, int]
    ruleset: str


_decoder = msgspec.json.Decoder(_Document)


def read_app_state(raw: bytes) -> AppState:
    """The members and limits of a genesis document.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, saying what is wrong with the document; `Code.RULES_DIFFER`, when the
            league judges by other rules than this release.
    """
    check_ruleset(raw)
    try:
        document = _decoder.decode(raw)
    except UNREADABLE as error:
        raise _unusable(str(error)) from error
    state = AppState(document.members, _params(document.params, document.ruleset), document.ruleset)
    if not all(member.is_current for member in state.members):
        raise _unusable("a league is founded by members that are active or suspended")
    dids = [member.did for member in state.members]
    endpoints = [member.endpoint for member in state.members]
    if len(set(dids)) < len(dids):
        raise _unusable("two members have the same DID")
    if len(set(endpoints)) < len(endpoints):
        raise _unusable("two members have the same endpoint")
    node_ids = [node_id for member in state.members for node_id in member.node_ids]
    if len(set(node_ids)) < len(node_ids):
        raise _unusable("two engines have the same node id")
    _check_prefixes([prefix for member in state.members for prefix in member.prefixes])
    _check_validators(state.members, state.ruleset)
    _check_quotas(state.params)
    for member in state.members:
        _check_member(member)
    return state


class _NamedRuleset(msgspec.Struct, frozen=True):
    """Whatever else a document holds."""

    ruleset: str = ""


def check_ruleset(raw: bytes) -> None:
    """Check by which rules the league of a document judges.

    Raises:
        Fatal: `Code.RULES_DIFFER`.
    """
    try:
        ruleset = msgspec.json.decode(raw, type=_NamedRuleset).ruleset
    except UNREADABLE:
        return  # it is no document at all, which is said later
    if ruleset not in SECTIONS:
        own = ", ".join(SECTIONS)
        named = f"judges by the rules {ruleset!r}" if ruleset else "was founded before rules had names"
        raise Fatal(
            Code.RULES_DIFFER,
            f"The league {named}; this release judges by {own}. Run the release that the other members run; "
            "docs/operators/recover.md says how.",
        )


def _params(fields: dict[str, int], ruleset: str) -> LedgerParams:
    """The limits; a document has every one of its rule set."""
    names = _LIMITS_3 if ruleset == RULESET_3 else {**_LIMITS_3, **_LIMITS_4}
    missing, unknown = sorted(set(names) - set(fields)), sorted(set(fields) - set(names))
    if missing or unknown:
        raise _unusable(f"params must name every limit: missing {missing}, unknown {unknown}")
    params = msgspec.convert(fields, LedgerParams)
    try:
        PARAMETERS.check(params)
    except Refused as error:
        raise _unusable(f"a limit in params is out of bounds: {error.message}") from error
    return params


def _check_validators(members: Sequence[Member], ruleset: str) -> None:
    """No two members have one validator, and each validator's key is one that can sign."""
    keys = [member.validator_key for member in members if member.validator_key]
    if len(set(keys)) < len(keys):
        raise _unusable("two members have the same validator key")
    for member in members:
        if member.validator_key and not is_validator_key(member.validator_key, ruleset):
            known = "Ed25519, 64 digits 0-9 a-f" + (", or ML-DSA-65, 3,904" if ruleset != RULESET_3 else "")
            raise _unusable(f"the validator key of {member.did} is none of {known}")


def is_validator_key(text: str, ruleset: str) -> bool:
    """Whether a text is the public key of a validator under a rule set.

    Any 1,952 bytes are a key of ML-DSA-65.
    """
    pattern = VALIDATOR_KEY_PATTERN_3 if ruleset == RULESET_3 else VALIDATOR_KEY_PATTERN
    if re.fullmatch(pattern, text, re.ASCII) is None:
        return False
    return len(text) > ED25519_DIGITS or is_ed25519_point(bytes.fromhex(text))


def check_engine_validators(members: Sequence[Member], engine: Mapping[str, int]) -> None:
    """Check that the validators of the engine are those of the members.

    Args:
        members: The registry.
        engine: Voting power of the engine's validators, by public key in hex.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """
    registered: dict[str, int] = {}
    for member in members:
        if member.power > 0:
            if not member.validator_key:
                raise _unusable(f"{member.did} has voting power, and no validator_key")
            registered[member.validator_key] = member.power
    if registered != dict(engine):
        wrong = sorted(registered.items() ^ engine.items())
        raise _unusable(f"the engine's validators are not the members': {wrong[0][0]} differs")


def holds_largest_transaction(params: LedgerParams) -> bool:
    """Whether the largest transaction is within what an issuer may publish at once."""
    return (
        params.issuer_events_per_s * params.issuer_burst_s >= params.events_per_transaction_max
        and params.issuer_bytes_per_s * params.issuer_burst_s >= params.transaction_size_max_bytes
        and params.issuer_bytes_per_day >= params.transaction_size_max_bytes
    )


def _check_quotas(params: LedgerParams) -> None:
    if not holds_largest_transaction(params):
        raise _unusable("an issuer's quotas are smaller than one full transaction")


def _check_prefixes(prefixes: list[str]) -> None:
    """No identifier may belong to two members."""
    for prefix in prefixes:
        if not is_identifier_prefix(prefix):
            raise _unusable(
                f"{prefix!r} is no prefix of identifiers: small letters, digits and signs, with a colon at the end"
            )
    ordered = sorted(prefixes)
    for first, second in pairwise(ordered):
        if second.startswith(first):
            raise _unusable(f"the prefixes {first!r} and {second!r} include the same identifiers")


def _check_member(member: Member) -> None:
    kids = [key.kid for key in member.keys]
    if not kids or len(set(kids)) < len(kids):
        raise _unusable(f"member {member.did} needs at least one key, each with a name (kid) of its own")
    if not is_did(member.did) or member.power < 0:
        raise _unusable(f"member {member.did!r} needs a DID and a voting power of 0 or more")
    if not all(map(is_node_id, member.node_ids)):
        raise _unusable(f"a node id of {member.did} is not 40 hexadecimal digits in lower case")
    try:
        if normal_endpoint(member.endpoint) != member.endpoint:
            raise _unusable(
                f"the endpoint of {member.did} must be written {normal_endpoint(member.endpoint)}"
            )
        for key in member.keys:
            VerifyingKey(key)
        MEMBER.check(member)
    except Refused as error:
        raise _unusable(f"member {member.did}: {error.message}") from error


def _unusable(what: str) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, f"The genesis document's app_state cannot be used: {what}.")
