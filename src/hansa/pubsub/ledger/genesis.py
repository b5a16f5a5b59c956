"""What the members agree on before the first block: who they are, and the limits that decide about validity.

Limits that decide whether a transaction is valid must be the same everywhere, so they come from the genesis
document (`app_state`) and never from anybody's settings.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from hansa.core.errors import Code, Fatal, Refused
from hansa.core.identifiers import is_did, is_identifier_prefix
from hansa.core.keys import VerifyingKey
from hansa.core.members import Member, is_node_id, normal_endpoint


class LedgerParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Consensus-critical limits."""

    event_size_max_bytes: int = 4096
    events_per_transaction_max: int = 100
    transaction_size_max_bytes: int = 262_144
    event_ahead_max_s: int = 300
    """How far an event's time may lie after that of its block. Block time lags by up to `heartbeat_s`."""
    event_behind_max_s: int = 86_400
    """How far an event's time may lie before that of its block."""
    heartbeat_s: int = 60
    """Longest time without a block."""
    issuer_events_per_s: int = 1000
    """What an issuer may publish over a long time."""
    issuer_bytes_per_s: int = 1_000_000
    issuer_burst_s: int = 10
    """How many seconds' worth of it an issuer may publish at once."""
    issuer_bytes_per_day: int = 1_073_741_824


class AppState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The `app_state` of a genesis document."""

    members: tuple[Member, ...]
    params: LedgerParams = LedgerParams()


_decoder = msgspec.json.Decoder(AppState)


def read_app_state(raw: bytes) -> AppState:
    """The members and limits of a genesis document.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, saying what is wrong with the document.
    """
    try:
        state = _decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _unusable(str(error)) from error
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
    if min(msgspec.structs.astuple(state.params)) < 1:
        raise _unusable("every limit must be positive")
    _check_quotas(state.params)
    for member in state.members:
        _check_member(member)
    return state


def _check_quotas(params: LedgerParams) -> None:
    """The largest transaction must be within what an issuer may publish at once."""
    is_possible = (
        params.issuer_events_per_s * params.issuer_burst_s >= params.events_per_transaction_max
        and params.issuer_bytes_per_s * params.issuer_burst_s >= params.transaction_size_max_bytes
        and params.issuer_bytes_per_day >= params.transaction_size_max_bytes
    )
    if not is_possible:
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
    except Refused as error:
        raise _unusable(error.message) from error


def _unusable(what: str) -> Fatal:
    return Fatal(Code.SETTINGS_INVALID, f"The genesis document's app_state cannot be used: {what}.")
