"""Who is calling, as far as it has been proved, and what that caller may do.

Two questions, two protocols. *Authentication* belongs to a face, which knows how its callers identify
themselves: headers become a `Caller`. *Authorization* belongs to operations, whoever calls them: caller,
action and target become a `Decision`, which says why when it refuses. An operation hands out a `Grant` for a
decision that allows, and takes nothing else: an operation cannot be called without the decision.

Where the decision depends on the entity, as for people of an organisation, which have rights to what is its
own, the decision carries an `EntityRule`. The operation asks it about each entity that it reads or writes; of
lists, the rule says what can be looked up (`ReadReach`), so that it becomes a condition of the query.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum, unique
from typing import Any, Final, Protocol

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
_OPERATORS: Final = frozenset({OPERATOR})


class Power(msgspec.Struct, frozen=True):
    """What a mandate is for: one power of the credential behind a caller."""

    domain: str
    """As `DOME`: in capital letters, however the credential writes it."""
    function: str
    """As `ProductOffering`."""
    actions: tuple[str, ...]
    """As `Create`: with a capital letter, in alphabetical order."""

    def covers(self, domain: str, function: str, action: str) -> bool:
        """Whether it is the power for an action. Capital letters do not matter, everything else does."""
        return (
            self.domain == domain.upper()
            and self.function.lower() == function.lower()
            and action.lower() in map(str.lower, self.actions)
        )


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
    powers: tuple[Power, ...] = ()
    """What the organisation's credential lets the caller do in its name."""
    is_machine: bool = False
    """Whether it is a machine of the organisation that acts, not an employee."""
    credential_id: str = ""
    """Of the credential behind the caller; empty when there is none, or it has none."""
    credential_expires_s: int | None = None
    """Last second at which that is good, since 1970; None: nothing says."""

    @property
    def is_authenticated(self) -> bool:
        """Whether a token was presented and verified."""
        return self.subject is not None

    @property
    def may_read(self) -> bool:
        """Whether the caller may read all that is private.

        One that acts for an organisation may not, whatever its roles, unless it is an operator.
        """
        return not self.roles.isdisjoint(READERS if self.organization is None else _OPERATORS)

    @property
    def may_write(self) -> bool:
        """Whether the caller may change all of this marketplace's entities; see `may_read`."""
        return not self.roles.isdisjoint(WRITERS if self.organization is None else _OPERATORS)


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
    api: str = ""
    """That serves them, as `TMF620`."""
    party_attributes: tuple[str, ...] = ()
    """Attributes that hold related parties."""
    status_attribute: str | None = None
    """That holds their state."""
    is_catalogue: bool = False
    """Whether its entities may be public."""
    is_task: bool = False
    """Whether they are tasks, which change other entities when they are created."""
    is_below: bool = False
    """Whether they are sub-resources: who may what with them is decided by their parent."""
    is_job: bool = False
    """Whether they are import or export jobs, which reach beyond every rule about entities."""


class EntityFacts(msgspec.Struct, frozen=True):
    """What a decision about one entity is made on."""

    fields: Mapping[str, Any]
    """Its attributes."""
    is_public: bool
    is_whole: bool = True
    """Whether these are all of them; not of what was deleted."""


class AccessRefusal(msgspec.Struct, frozen=True):
    """Why something is not allowed."""

    code: Code
    reason: str
    """One sentence for the person who has to act on it."""


class ReadReach(msgspec.Struct, frozen=True):
    """The entities of a collection that a caller may read, as something that can be looked up.

    They are those that are public, and those that have one of its party identifiers at a party attribute; of
    these, or of all when `has_other_permits`, those of which `holds` is true.
    """

    key: str
    """The same text for the same entities, as far as nothing is written."""
    public: bool = True
    parties: tuple[str, ...] = ()
    """Identifiers in `id` of a related party."""
    names: tuple[str, ...] = ()
    """Identifiers in `name` of a related party."""
    holds: Callable[[Mapping[str, Any], bool], bool] | None = None
    """Of the attributes of an entity, and whether it is public; None: of all."""
    has_other_permits: bool = False
    """There are further ones, which only `holds` knows."""
    public_only: bool = False
    """None of them is private."""


class EntityRule(Protocol):
    """What of the entities of one collection a caller may do something with."""

    def refusal(self, facts: EntityFacts, aliases: frozenset[str], /) -> AccessRefusal | None:
        """Why the caller may not do it with an entity; None: it may.

        Args:
            facts: Of the entity, as it is; of a write, asked again of what it becomes.
            aliases: Identifiers of the entities here that describe the caller's organisation.
        """

    def reach(self, aliases: frozenset[str], /) -> ReadReach:
        """Of an action that reads: the entities of which `refusal` is None."""

    def is_of_caller(self, facts: EntityFacts, aliases: frozenset[str], /) -> bool:
        """Whether the caller sees what of an entity is not for everybody who may read it."""

    def completed(self, fields: dict[str, Any], /) -> None:
        """Put the caller's organisation into a new entity that does not say to whom it belongs."""


class Decision(msgspec.Struct, frozen=True):
    """Whether a caller may do something."""

    refusal: Code | None = None
    """None when it is allowed."""
    reason: str = ""
    """Of a refusal, for the person who has to act on it."""
    public_only: bool = False
    """Reading is limited to what is public; with a rule, for whoever does not ask that."""
    rule: EntityRule | None = None
    """Decides about each entity; None: it is the same about all."""

    @property
    def is_allowed(self) -> bool:
        """Whether the caller may."""
        return self.refusal is None


class Authorize(Protocol):
    """Decides what a caller may do; asked once for each operation."""

    def __call__(self, caller: Caller, action: Action, target: AccessTarget, /) -> Decision:
        """The decision. It depends on nothing that the operation reads, so it can precede reading a body.

        Its rule depends on entities, and is asked about each.
        """


class Grant(msgspec.Struct, frozen=True):
    """An action that was authorized, for one caller at one collection."""

    caller: Caller
    action: Action
    collection: str
    public_only: bool = False
    """Reading is limited to what is public; with a rule, for whoever does not ask that."""
    rule: EntityRule | None = None
    """Decides about each entity; None: it is the same about all."""


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
