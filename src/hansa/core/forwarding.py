"""Writes that are forwarded to the origin of an entity, as both sides and what lies between know them.

Every entity has one writer, its origin. A write that is addressed to a replica is forwarded there: the
marketplace that received it says, in a signed *delegation*, for which of its callers it forwards what, and
until when; the origin decides by a policy of its own and carries it out, or refuses. Nothing is written here:
the change comes back by replication, as every other.

    hansa.business      finds that an entity is a replica, and asks a `WriteForwarder`; carries out what
                        others forwarded
    hansa.replication   is the `WriteForwarder`: sends to the origin, or queues what it cannot send
    hansa.identity      makes and checks delegations, and has the rules of who may forward what
    hansa.api           receives (`POST /league/v1/writes`)

A forwarded write is never forwarded again, so there are no loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

import msgspec

from hansa.core.access import PROVIDER, WRITERS, Action, Caller, Power
from hansa.core.http import JSON

WRITES_PATH: Final = "/league/v1/writes"
"""Below a member's endpoint: where it receives what others forward."""
DELEGATION_HEADER: Final = "Write-Delegation"
KEY_LENGTH_MAX_CHARS: Final = 256
"""Of an idempotency key."""
FRAME_SIZE_BYTES: Final = 65_536
"""What surrounds the content of a forwarded write, and of its answer, at most."""

ActorKind = Literal["employee", "machine"]
WriteMethod = Literal["POST", "PATCH", "PUT", "DELETE"]
ACTIONS: Final[Mapping[WriteMethod, Action]] = {
    "POST": Action.CREATE,
    "PATCH": Action.CHANGE,
    "PUT": Action.CHANGE,
    "DELETE": Action.DELETE,
}


class ForwardedWrite(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A write, as it is sent to the origin and queued: what the client sent, without who it is."""

    method: WriteMethod
    path: str
    """Of the TM Forum API, the same at every marketplace."""
    api: str
    collection: str
    key: str
    """Idempotency key: the origin carries out one write with it, however often it arrives."""
    entity: str | None = None
    """Identifier of the entity; None of a POST."""
    parent: str | None = None
    """Identifier of the parent of a sub-resource."""
    form: str = JSON
    """Media type of the content."""
    versions: tuple[str, ...] | None = None
    """Hashlinks of which the entity must have one (`If-Match`)."""
    unmodified_since: str | None = None
    """RFC 3339 (`If-Unmodified-Since`)."""
    other_versions: tuple[str, ...] = ()
    """Hashlinks of which the entity must have none (`If-None-Match`)."""
    is_absent: bool = False
    """There must be no entity at all (`If-None-Match: *`)."""
    content: bytes = b""
    """JSON; nothing of a DELETE."""


class OriginAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the origin wrote; for a DELETE there is no entity."""

    id: str = ""
    hashlink: str = ""
    """Of the body."""
    body: bytes = b""
    """Canonical JSON of the part that other members get."""
    modified: str = ""
    """RFC 3339."""
    is_public: bool = False
    position: int | None = None
    """On the ledger, of the event that announces the change; None when it was not committed in time, or is
    not announced."""


class QueuedWrite(msgspec.Struct, frozen=True):
    """A write that waits until the origin can be reached."""

    id: str
    """Of its monitor."""


class WriteForwarder(Protocol):
    """Has writes carried out by the origins of their entities."""

    async def forward(
        self, origin: str, write: ForwardedWrite, caller: Caller, *, may_queue: bool
    ) -> OriginAnswer | QueuedWrite:
        """The origin's answer; or the queue's, while it cannot be reached and the caller does not wait.

        Args:
            origin: DID.
            write: What is to be written.
            caller: For whom; authorized here.
            may_queue: Whether it is queued while the origin cannot be reached.

        Raises:
            Refused: The origin refused, with a code of ours for its reason; its words are not passed on.
            Unavailable: `Code.UNAVAILABLE`: the origin cannot be reached, or did not answer in a form that is
                known. Whether it wrote is unknown; repeating with the same key is safe. `Code.OVERLOADED`:
                the queue is full.
        """


class Actor(msgspec.Struct, frozen=True):
    """As whom a caller acts, without who it is: what a member states of it to another one."""

    roles: frozenset[str] = frozenset()
    """At the member that states it."""
    organization: str = ""
    """For which it acts, by a verified identifier; empty: for none, with a token of the operator there."""
    kind: ActorKind = "employee"
    powers: tuple[Power, ...] = ()
    """Of the credential that it presented there."""

    @classmethod
    def of(cls, caller: Caller) -> Actor:
        """As whom a caller acts."""
        kind: ActorKind = "machine" if caller.is_machine else "employee"
        return cls(caller.roles, caller.organization or "", kind, caller.powers)

    def caller(self, subject: str, member: str) -> Caller:
        """The caller that it is here, by its pseudonym at a member.

        One that acts for an organisation has the rights of that organisation's people, and no role. Any
        other that may write there is a provider here, whatever it is there: nobody else's people are
        operators. A person who has no role there has none here.
        """
        if not self.organization:
            roles = frozenset[str]() if WRITERS.isdisjoint(self.roles) else frozenset({PROVIDER})
            return Caller(f"{subject}@{member}", roles, member)
        return Caller(
            f"{subject}@{member}",
            member=member,
            organization=self.organization,
            powers=self.powers,
            is_machine=self.kind == "machine",
        )


class DelegationClaims(msgspec.Struct, frozen=True):
    """What a delegation says; times are seconds since 1970 (RFC 7519 NumericDate)."""

    iss: str
    """DID of the member that forwards."""
    aud: str
    """DID of the origin."""
    sub: str
    """Pseudonym of the caller at that member, another one for each origin."""
    actor: Actor
    """As whom the caller acts there."""
    htm: str
    """Method of the write."""
    htu: str
    """Path of the write."""
    digest: str
    """SHA-256 of the forwarded write as it is sent, base64url without padding."""
    iat: int
    exp: int
    jti: str


class DelegationMaker(Protocol):
    """Signs delegations of this member."""

    def delegation(
        self, audience: str, subject: str, actor: Actor, write: ForwardedWrite, body: bytes
    ) -> str:
        """A delegation, compact JWS.

        Args:
            audience: DID of the origin.
            subject: Pseudonym of the caller.
            actor: As whom that one acts.
            write: What is forwarded.
            body: The same as it is sent.
        """


class DelegationVerifier(Protocol):
    """Verifies delegations of other members."""

    def verified(self, compact: str, sender: str, body: bytes) -> DelegationClaims:
        """The claims of a delegation that the sender made for this body and this member, and that is valid.

        Raises:
            Refused: `Code.UNAUTHENTICATED`, saying what is wrong; `Code.FORBIDDEN`, when the sender is
                suspended.
        """


class DelegationPolicy(Protocol):
    """Decides which members may forward what; by default none."""

    def may_forward(self, member: str, collection: str, action: Action, roles: frozenset[str]) -> bool:
        """Whether a member may forward such a write for a caller with these roles."""


class LedgerPositions(Protocol):
    """Knows how far this marketplace has followed the ledger."""

    async def reached(self, position: int, *, is_stranger: bool) -> None:
        """Return as soon as the event at a position has had its effect here.

        Args:
            position: On the ledger.
            is_stranger: Nobody knows who waits; strangers leave others some places.

        Raises:
            Unavailable: `Code.UNAVAILABLE`, when it has not in time; `Code.OVERLOADED`, when too many wait.
        """
