"""Who is calling, as far as it has been proved, and what that caller may do.

Two questions, two protocols. *Authentication* belongs to a face, which knows how its callers identify
themselves: headers become a `Caller`. *Authorization* belongs to operations, whoever calls them: caller,
action and target become a `Decision`, which says why when it refuses. An operation hands out a `Grant` for a
decision that allows, and takes nothing else: an operation cannot be called without the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final, Protocol

import msgspec

from hansa.core.errors import Code

OPERATOR: Final = "operator"
"""The role of the marketplace's own people and systems."""
PROVIDER: Final = "provider"
"""The role of those who offer something here."""
READER: Final = "reader"
"""The role of those who read what is private."""
READERS: Final = frozenset({OPERATOR, PROVIDER, READER})
WRITERS: Final = frozenset({OPERATOR, PROVIDER})


class GrantedPower(msgspec.Struct, frozen=True):
    """One power of the credential behind a caller (`hansa.identity.credentials.mandate.Power`)."""

    domain: str
    """As `DOME`, in capital letters."""
    function: str
    """As `ProductOffering`."""
    actions: tuple[str, ...]
    """As `Create`, in alphabetical order."""


class Caller(msgspec.Struct, frozen=True):
    """The authenticated party behind a request; `ANONYMOUS` when there is none."""

    subject: str | None = None
    roles: frozenset[str] = frozenset()
    member: str | None = None
    """DID of the member that forwards for this caller, whom it knows by a pseudonym; None: a client of
    ours."""
    organization: str | None = None
    """The organisation that the caller acts for, by its verified identifier (EN 319 412-1), as
    `VATES-12345678`; None: of no organisation, as the holder of a token of the operator."""
    powers: tuple[GrantedPower, ...] = ()
    """What the organisation's credential lets the caller do in its name."""
    is_machine: bool = False
    """Whether it is a machine of the organisation that acts, not an employee."""

    @property
    def is_authenticated(self) -> bool:
        """Whether a token was presented and verified."""
        return self.subject is not None

    @property
    def may_read(self) -> bool:
        """Whether the caller may read what is private."""
        return not self.roles.isdisjoint(READERS)

    @property
    def may_write(self) -> bool:
        """Whether the caller may change this marketplace's entities."""
        return not self.roles.isdisjoint(WRITERS)


ANONYMOUS = Caller()


class Authenticate(Protocol):
    """Finds out who is calling."""

    def __call__(self, headers: Mapping[bytes, bytes]) -> Caller:
        """The caller behind a request with these headers (lower-case names).

        Raises:
            Refused: `Code.UNAUTHENTICATED`, when there is a token and it does not verify.
        """


@unique
class Action(StrEnum):
    """What can be done with the entities of a collection."""

    READ = "read"
    """Read one, or a list."""
    EXPORT = "export"
    """Read what an export wrote."""
    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"


class AccessTarget(msgspec.Struct, frozen=True):
    """What an action is done to: the entities of one collection."""

    collection: str
    """Under which the store has them."""
    type: str
    """Name of their type, for messages."""
    is_private: bool
    """Whether none of them is for everybody."""
    operator_actions: frozenset[Action] = frozenset()
    """Actions that exist for operators alone."""


class Decision(msgspec.Struct, frozen=True):
    """Whether a caller may do something."""

    refusal: Code | None = None
    """None when it is allowed."""
    reason: str = ""
    """Of a refusal, for the person who has to act on it."""
    public_only: bool = False
    """Reading is limited to what is public."""

    @property
    def is_allowed(self) -> bool:
        """Whether the caller may."""
        return self.refusal is None


class Authorize(Protocol):
    """Decides what a caller may do; asked once for each operation."""

    def __call__(self, caller: Caller, action: Action, target: AccessTarget, /) -> Decision:
        """The decision. It depends on nothing that the operation reads, so it can precede reading a body."""


class Grant(msgspec.Struct, frozen=True):
    """An action that was authorized, for one caller at one collection."""

    caller: Caller
    action: Action
    collection: str
    public_only: bool = False
    """Reading is limited to what is public."""


_READ: Final = Action.READ
"""At hand: looking up a member of an enumeration takes longer than the rest of the decision."""
_ALLOWED: Final = Decision()
_PUBLIC_ONLY: Final = Decision(public_only=True)
_NO_TOKEN: Final = Decision(Code.UNAUTHENTICATED, "Writing needs a bearer token.")
_NO_TOKEN_FOR_EXPORT: Final = Decision(Code.UNAUTHENTICATED, "Reading an export needs a bearer token.")
_NO_ROLE: Final = Decision(Code.FORBIDDEN, "The roles of this token give no right to read what is private.")
_READ_ONLY: Final = Decision(Code.FORBIDDEN, "This token gives no right to write.")
_OPERATORS_ONLY: Final = Decision(Code.METHOD_NOT_ALLOWED, "This is for the marketplace's own systems.")


def authorize_by_role(caller: Caller, action: Action, target: AccessTarget, /) -> Decision:
    """Everybody reads what is public; readers read all; operators and providers read and write.

    It fails closed: a token that names no role, or none that is known here, opens no more than no token.
    """
    if target.operator_actions and action in target.operator_actions and OPERATOR not in caller.roles:
        return _OPERATORS_ONLY
    if action is _READ:
        if caller.subject is not None and caller.may_read:
            return _ALLOWED
        if not target.is_private:
            return _PUBLIC_ONLY
        if caller.is_authenticated:
            return _NO_ROLE
        reason = f"Entities of type {target.type} are private: send a bearer token."
        return Decision(Code.UNAUTHENTICATED, reason)
    if not caller.is_authenticated:
        return _NO_TOKEN_FOR_EXPORT if action is Action.EXPORT else _NO_TOKEN
    if action is Action.EXPORT:
        return _ALLOWED if caller.may_read else _NO_ROLE
    return _ALLOWED if caller.may_write else _READ_ONLY
