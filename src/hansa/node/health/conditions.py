"""What is wrong with a marketplace that serves all the same: a closed list of conditions.

A marketplace serves its catalogue whatever the league does, so none of these takes it from traffic. Each of
them is a reason in `/readyz` and the status, a value of `hansa_condition`, and a result of `hansa doctor`,
which says that all is well only when there is none. docs/conditions.md is written from the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum, unique
from typing import Final

import msgspec

from hansa.core.clock import rfc3339_at_ms
from hansa.core.errors import Code
from hansa.core.members import Member
from hansa.core.trust.certificates import KeyCertificate, certificate_state
from hansa.pubsub.ledger.commitments.stored import validator_address
from hansa.pubsub.ledger_records import LedgerStatus, PlannedUpgrade
from hansa.replication import OriginProgress

STALLED_AFTER_S: Final = 15.0
"""Time without a block, while something waits for one."""
ALONE_AFTER_S: Final = 15.0
"""So long an engine without peers is taken to be connecting; longer, to have nobody to follow."""
HEARTBEATS_MISSED_MAX: Final = 2
HEARTBEAT_GRACE_S: Final = 15.0
FAILING_ATTEMPTS_MIN: Final = 3
"""Failures in a row after which retrievals from a member are said to fail."""
NAMES_SHOWN_MAX: Final = 8
TRANSIENT: Final = frozenset({Code.OVERLOADED, Code.UNAVAILABLE})
"""Problems of publishing that waiting cures, or that have a condition of their own."""


@unique
class ConditionCode(StrEnum):
    """Every condition, as it stands in `/readyz`, the status and the figures."""

    CERTIFICATE_EXPIRES = "certificate-expires"
    CERTIFICATE_INVALID = "certificate-invalid"
    LEDGER_NOT_BEGUN = "ledger-not-begun"
    QUORUM_MISSING = "quorum-missing"
    NO_BLOCK = "no-block"
    PUBLICATION_FAILS = "publication-fails"
    ENTITIES_REFUSED = "entities-refused"
    ENTITIES_LOST = "entities-lost"
    LEDGER_BEHIND = "ledger-behind"
    RETRIEVALS_FAIL = "retrievals-fail"
    REPLICAS_DEFERRED = "replicas-deferred"
    REPLICAS_REJECTED = "replicas-rejected"
    RETRIEVALS_NOT_ALLOWED = "retrievals-not-allowed"
    UPGRADE_PLANNED = "upgrade-planned"
    UPGRADE_NEEDED = "upgrade-needed"
    CHECKPOINTS_DIFFER = "checkpoints-differ"
    LEDGER_UNVERIFIED = "ledger-unverified"
    NO_FOLLOWED_MEMBER = "no-followed-member"
    FOLLOWED_MEMBER_WRONG = "followed-member-wrong"
    FOLLOWED_MEMBER_LATE = "followed-member-late"
    VALIDATOR_OBSERVES = "validator-observes"
    VALIDATOR_AWAITED = "validator-awaited"
    VALIDATOR_DOUBLE = "validator-double"
    VALIDATOR_POWER_LOST = "validator-power-lost"
    NO_MEMBER = "no-member"
    MEMBER_SUSPENDED = "member-suspended"
    KEY_UNREGISTERED = "key-unregistered"
    KEY_EXPIRES = "key-expires"
    ENDPOINT_DIFFERS = "endpoint-differs"
    POLICIES_INVALID = "policies-invalid"
    TRUST_OUTDATED = "trust-outdated"
    VOTE_MISSING = "vote-missing"


MEANINGS: Final[dict[ConditionCode, tuple[str, str]]] = {
    ConditionCode.CERTIFICATE_EXPIRES: (
        "The certificate of a key of this marketplace expires within 30 days; then the key signs no events.",
        "Register another one before: docs/operators/trust.md.",
    ),
    ConditionCode.CERTIFICATE_INVALID: (
        "The certificate of a key of this marketplace has expired, or the members have revoked the key.",
        "Register another one: docs/operators/trust.md. What is to be published waits until then.",
    ),
    ConditionCode.LEDGER_NOT_BEGUN: (
        "The league's ledger has no block yet. Nothing is published, and nothing comes from the others.",
        (
            "Wait until members with more than 2/3 of the voting power run and are connected; the condition names "
            "those that are not."
        ),
    ),
    ConditionCode.QUORUM_MISSING: (
        (
            "The engine is connected to members with 2/3 of the voting power or less, so no block can be made with "
            "those alone. Changes wait in their marketplaces."
        ),
        (
            "Ask the operators of the members that are named; look at `p2p_port`, `persistent_peers` and firewalls. "
            "The ledger goes on by itself."
        ),
    ),
    ConditionCode.NO_BLOCK: (
        "No block came for longer than the league's heartbeat allows, or for 15 s while transactions wait.",
        "See `quorum-missing`; with a quorum, look at the log lines of the engine and of the ledger application.",
    ),
    ConditionCode.PUBLICATION_FAILS: (
        "The ledger does not take what this marketplace submits now. It is submitted again.",
        "The code says why: see docs/errors.md.",
    ),
    ConditionCode.ENTITIES_REFUSED: (
        "The ledger refused the event of entities of this marketplace, so the others do not have them.",
        "`hansa status` with a token and `hansa doctor` list them with what to do.",
    ),
    ConditionCode.ENTITIES_LOST: (
        "The ledger has entities of this marketplace that its store has not, as after an older backup or an empty store.",
        (
            "`hansa restore --from-league URL` takes them back from the other members: docs/operators/recover.md. "
            "`hansa replication lost` lists them."
        ),
    ),
    ConditionCode.LEDGER_BEHIND: (
        "The ledger here ends before the events that the store has followed, so nothing is followed.",
        "Wait while the engine fetches blocks. If it has, store and ledger do not belong together: see recover.md.",
    ),
    ConditionCode.POLICIES_INVALID: (
        "A file in `policies/` has been changed to what cannot be read; the conditions before it hold.",
        "`hansa policy check` says what is wrong. Mend it before the next start, which it would refuse.",
    ),
    ConditionCode.TRUST_OUTDATED: (
        (
            "A file in `anchors/` or `list-signers/`, or a trusted list, cannot be used as it is now. The authorities "
            "before it count; those of a list until the end that it names, and then no more."
        ),
        "The condition names the file or the list and the reason: docs/operators/credentials.md.",
    ),
    ConditionCode.REPLICAS_DEFERRED: (
        "A member has reached a bound of this marketplace; what else it publishes is retrieved when there is room.",
        "Raise the setting that the condition names, or ask that member's operator.",
    ),
    ConditionCode.REPLICAS_REJECTED: (
        "A member has published entities that are not valid; they are not shown here.",
        "`hansa replication list --state rejected` shows why. Ask that member's operator.",
    ),
    ConditionCode.RETRIEVALS_FAIL: (
        "Three requests in a row to a member for its entities failed. They are repeated with growing pauses.",
        "The code says why. Ask that member's operator; `hansa status` shows since when.",
    ),
    ConditionCode.RETRIEVALS_NOT_ALLOWED: (
        (
            "A member's endpoint has an address that this marketplace sends nothing to: one of a private network, or "
            "one that is no web address. Its entities never come."
        ),
        (
            "When the league is on a private network: `allow_private_networks = true` in `hansa.toml`, and restart. "
            "Otherwise that member registered a wrong endpoint."
        ),
    ),
    ConditionCode.UPGRADE_PLANNED: (
        (
            "The members have decided to go on by other rules from a block on, and this release does not have them, or "
            "its engine is too old. Until then it takes part as ever."
        ),
        "Install a release that has them before that block: docs/operators/upgrade.md.",
    ),
    ConditionCode.UPGRADE_NEEDED: (
        (
            "The ledger stands still here, because this release cannot judge the next block. The catalogue is served; "
            "nothing is published, and nothing comes from the others."
        ),
        "Install a release that can, or set what the reason names, and restart: docs/operators/upgrade.md.",
    ),
    ConditionCode.CHECKPOINTS_DIFFER: (
        (
            "A member has another block at a height than this marketplace has. Either it made it up, or validators have "
            "signed two histories. Both are retained as evidence in `ledger/light.db`."
        ),
        (
            "Compare with a third member (`hansa audit`), and talk to the member that is named. If the other block is "
            "validly signed, the league has to decide together which history goes on."
        ),
    ),
    ConditionCode.LEDGER_UNVERIFIED: (
        (
            "A light member can verify nothing more: the ledger has forked, or the block that it trusts is older than the "
            "trust period. What was verified before is served; nothing is published, and nothing comes from the others."
        ),
        (
            "Compare a newer block with members by other means, and state it: `hansa league trust D HEIGHT HASH`. After a fork "
            "the members have to decide first: docs/operators/light-members.md."
        ),
    ),
    ConditionCode.NO_FOLLOWED_MEMBER: (
        "None of the members that this light member follows answers. What was verified before is served.",
        "Look at the network; ask their operators; name others in `followed_members`.",
    ),
    ConditionCode.FOLLOWED_MEMBER_WRONG: (
        (
            "A member that this light member follows gave something that does not hold, or withholds what it has. It is "
            "followed no more for a while; the others are."
        ),
        (
            "Ask its operator: a broken proxy or disk looks the same as a lie. What does not hold was not believed. "
            "`hansa status` shows the reason."
        ),
    ),
    ConditionCode.FOLLOWED_MEMBER_LATE: (
        "A member that this light member follows does not answer, or is behind the others.",
        "It is followed again by itself. With fewer than two others, name more in `followed_members`.",
    ),
    ConditionCode.VALIDATOR_OBSERVES: (
        "The validator follows the ledger and signs nothing, as after a restore.",
        "It signs by itself when it cannot sign twice; docs/operators/recover.md says when it cannot.",
    ),
    ConditionCode.VALIDATOR_AWAITED: (
        (
            "The validator observes, and the league makes no block without it: nothing that it could observe will end "
            "that. The catalogue is served."
        ),
        (
            "When no other copy of it exists: stop, `hansa engine sign D`, start. docs/operators/recover.md explains the "
            "risk."
        ),
    ),
    ConditionCode.VALIDATOR_DOUBLE: (
        "Another engine signs with this validator's key, or runs beside this one.",
        "Stop one of them at once; see docs/operators/recover.md.",
    ),
    ConditionCode.VALIDATOR_POWER_LOST: (
        "The ledger has evidence that the validator's key signed twice; its votes count no more.",
        "See docs/operators/recover.md.",
    ),
    ConditionCode.NO_MEMBER: (
        "This marketplace is not admitted yet, left the league or was removed from it; it publishes nothing to the others.",
        "Wait for the members' votes; who left joins with a new folder: docs/operators/join-a-league.md.",
    ),
    ConditionCode.MEMBER_SUSPENDED: (
        "The members have suspended this marketplace: it publishes nothing. It follows, and votes, as before.",
        "Ask the other members. A vote makes it active again; an emergency suspension ends by itself.",
    ),
    ConditionCode.KEY_UNREGISTERED: (
        "The league does not know the key that signs here, so the others take nothing of this marketplace.",
        "Restore `keys/member.jwk`, or rotate the key: docs/operators/league.md.",
    ),
    ConditionCode.KEY_EXPIRES: (
        "The key that signs here is valid for a limited time, and its successor is not here.",
        "Rotate the key before: `hansa keys rotate D --key member`.",
    ),
    ConditionCode.ENDPOINT_DIFFERS: (
        "The league knows this marketplace at another endpoint than the one that it was started with.",
        (
            "When `hansa.toml` names that endpoint already, restart: links in responses follow then. Otherwise "
            "`hansa league endpoint D URL` states the one that is right, and sets it in `hansa.toml`."
        ),
    ),
    ConditionCode.VOTE_MISSING: (
        "A proposal is open on which this marketplace has not voted, though it has voting power.",
        "`hansa league explain PROPOSAL` says what it is; `hansa league vote D PROPOSAL yes|no`.",
    ),
}
"""What each means, and what to do."""


def meaning_of(code: str) -> str:
    """What a condition means."""
    return MEANINGS[ConditionCode(code)][0]


def remedy_of(code: str) -> str | None:
    """What to do about a condition; None for a code that this release does not have."""
    return MEANINGS[ConditionCode(code)][1] if code in set(ConditionCode) else None


class Condition(msgspec.Struct, frozen=True):
    """Something that is not as it should be, and does not keep this marketplace from serving."""

    code: ConditionCode
    message: str
    """What it is, with names and figures; nothing that strangers must not know."""


class LeagueView(msgspec.Struct, frozen=True):
    """What is known of the league, as its ledger's conditions are judged."""

    ledger: LedgerStatus
    members: Sequence[Member]
    own_did: str
    signs: bool
    """Whether our own validator signs."""
    heartbeat_s: float
    since_block_s: float
    """Since the last block was seen to come."""
    stalled_s: float
    """For how long something has been waiting without a block; 0 while nothing waits."""
    waiting: int
    """Transactions in our engine, or own events that are not committed."""
    has_engine: bool = True
    """Whether an engine of ours is connected to those of the others."""


def has_nobody_to_follow(ledger: LedgerStatus, since_block_s: float) -> bool:
    """Whether an engine waits for others to catch up with, and has been waiting for one in vain.

    Such an engine says that it catches up for as long as that lasts, as the first founder's, or that of a
    member that starts while all others are down.
    """
    return ledger.catching_up and not ledger.peers and since_block_s > ALONE_AFTER_S


def ledger_conditions(view: LeagueView) -> tuple[Condition, ...]:
    """Whether the ledger goes on, as far as this member sees.

    A former member has none of these: the others have disconnected it for good, and no quorum comes back.
    """
    if any(member.did == view.own_did and not member.is_current for member in view.members):
        return ()  # which `NO_MEMBER` says
    connection = _connection(view) if view.has_engine else None
    if view.ledger.catching_up and not has_nobody_to_follow(view.ledger, view.since_block_s):
        return ()  # a reason of its own, for which it is not ready
    if view.ledger.height == 0:
        message = (
            f"the ledger has not begun: it has no block yet{f', and {connection}' if connection else ''}"
        )
        return (Condition(ConditionCode.LEDGER_NOT_BEGUN, message),)
    conditions = [] if connection is None else [Condition(ConditionCode.QUORUM_MISSING, connection)]
    limit_s = HEARTBEATS_MISSED_MAX * view.heartbeat_s + HEARTBEAT_GRACE_S
    if view.stalled_s > min(STALLED_AFTER_S, limit_s):
        what = "1 transaction waits" if view.waiting == 1 else f"{view.waiting:,} transactions wait"
        message = f"no block for {view.since_block_s:.0f} s while {what}"
        conditions.append(Condition(ConditionCode.NO_BLOCK, message))
    elif view.since_block_s > limit_s:
        conditions.append(Condition(ConditionCode.NO_BLOCK, f"no block for {view.since_block_s:.0f} s"))
    return tuple(conditions)


def _connection(view: LeagueView) -> str | None:
    """Which members a quorum lacks here; None with a quorum."""
    powers, peers = view.ledger.powers, frozenset(view.ledger.peer_ids)
    total, connected, absent = sum(powers.values()), 0, []
    for member in view.members:
        power = powers.get(validator_address(member.validator_key), 0) if member.validator_key else 0
        is_own = member.did == view.own_did
        if (is_own and view.signs) or (not is_own and not peers.isdisjoint(member.node_ids)):
            connected += power
        elif power:
            absent.append(f"{member.name} (this one, which observes)" if is_own else member.name)
    if 3 * connected > 2 * total:
        return None
    shown = ", ".join(absent[:NAMES_SHOWN_MAX]) + (" …" if len(absent) > NAMES_SHOWN_MAX else "")
    return (
        f"members with {connected} of {total} of the voting power are connected, and more than 2/3 is needed; "
        f"not connected: {shown}"
    )


def upgrade_conditions(
    plan: PlannedUpgrade | None, lacking: str | None, stopped_because: str | None
) -> tuple[Condition, ...]:
    """Whether this release can go on with the league.

    Args:
        plan: What the members have decided.
        lacking: What this release lacks for it, in words; None: nothing.
        stopped_because: Why the ledger stands still here already.
    """
    if stopped_because is not None:
        return (Condition(ConditionCode.UPGRADE_NEEDED, stopped_because),)
    if plan is None or lacking is None:
        return ()
    message = (
        f"from block {plan.height:,} on the league judges by {plan.ruleset}; this release lacks {lacking}"
    )
    return (Condition(ConditionCode.UPGRADE_PLANNED, message),)


def publication_conditions(problem: Code | None, events_waiting: int, refused: int) -> tuple[Condition, ...]:
    """Whether the ledger takes what this marketplace publishes.

    Args:
        problem: Of the last submission; None when it succeeded.
        events_waiting: Own events that are not committed.
        refused: Own entities whose event was refused for good.
    """
    conditions = []
    if problem is not None and events_waiting and problem not in TRANSIENT:
        message = f"own events wait, and the ledger does not take them ({problem})"
        conditions.append(Condition(ConditionCode.PUBLICATION_FAILS, message))
    if refused:
        message = "the ledger has refused the events of some own entities"
        conditions.append(Condition(ConditionCode.ENTITIES_REFUSED, message))
    return tuple(conditions)


def certificate_conditions(certificates: Sequence[KeyCertificate], now_ms: int) -> tuple[Condition, ...]:
    """Whether the certificates of this marketplace's keys are valid, and will be for a while."""
    conditions = []
    for certificate in certificates:
        state = certificate_state(certificate, now_ms)
        expires = rfc3339_at_ms(1000 * certificate.not_after_s)
        if state == "expiring":
            message = f"the certificate of the key {certificate.kid} expires at {expires}"
            conditions.append(Condition(ConditionCode.CERTIFICATE_EXPIRES, message))
        elif state != "valid":
            what = "was revoked" if state == "revoked" else f"has a certificate that expired at {expires}"
            conditions.append(
                Condition(ConditionCode.CERTIFICATE_INVALID, f"the key {certificate.kid} {what}")
            )
    return tuple(conditions)


def store_conditions(
    lost: int, policies_problem: str | None, trust_problem: str | None, *, is_ledger_behind: bool
) -> tuple[Condition, ...]:
    """Whether store and ledger have what the other has of this marketplace, and its files can be read."""
    conditions = []
    if trust_problem is not None:
        conditions.append(Condition(ConditionCode.TRUST_OUTDATED, trust_problem))
    if policies_problem is not None:
        conditions.append(Condition(ConditionCode.POLICIES_INVALID, policies_problem))
    if lost:
        message = f"the ledger has {lost} entities of this marketplace that the store has lost"
        conditions.append(Condition(ConditionCode.ENTITIES_LOST, message))
    if is_ledger_behind:
        message = "the ledger ends before what the store has followed"
        conditions.append(Condition(ConditionCode.LEDGER_BEHIND, message))
    return tuple(conditions)


def retrieval_conditions(origins: Sequence[OriginProgress]) -> tuple[Condition, ...]:
    """Whether the other members' entities come."""
    conditions = []
    for origin in origins:
        if origin.deferred:
            message = f"{origin.deferred} entities of {origin.name} are deferred ({origin.bound or 'until released'})"
            conditions.append(Condition(ConditionCode.REPLICAS_DEFERRED, message))
        if origin.rejected:
            message = f"{origin.rejected} entities of {origin.name} are not valid"
            conditions.append(Condition(ConditionCode.REPLICAS_REJECTED, message))
        if origin.paused_since is not None:
            continue
        if origin.problem == Code.HOST_NOT_ALLOWED and origin.failing_since is not None:
            code, why = ConditionCode.RETRIEVALS_NOT_ALLOWED, "its endpoint's address is not one to send to"
        elif origin.failing_since is not None and origin.attempts >= FAILING_ATTEMPTS_MIN:
            code, why = ConditionCode.RETRIEVALS_FAIL, f"since {origin.failing_since}"
        else:
            continue
        message = f"retrievals from {origin.name} fail ({origin.problem}): {why}"
        conditions.append(Condition(code, message))
    return tuple(conditions)


def conditions_page() -> str:
    """The content of docs/conditions.md."""
    lines = [
        "# Conditions",
        "",
        "What is not as it should be at a marketplace that serves all the same. `GET /readyz` answers 200 with the",
        "status `degraded`, and lists them as `reasons` and, by code, as `conditions`; so does the status.",
        "`hansa_condition` is 1 for each that holds, and `hansa doctor` ends with “All is well.” only when there is",
        "none.",
        "",
        "Written by `hansa.node.health.conditions_page`; a test keeps it in step with the code.",
        "",
        "| Code | Means | Do |",
        "|---|---|---|",
        *(f"| `{code}` | {meaning} | {remedy} |" for code, (meaning, remedy) in MEANINGS.items()),
    ]
    return "\n".join(lines) + "\n"
