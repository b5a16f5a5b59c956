"""The `hansa.core.access.Authorize` of a marketplace: roles of tokens, and the access policies.

| caller | decided by |
|---|---|
| stranger, token of the operator, operator | its roles, and then by policies that are not the shipped ones |
| anybody else who acts for an organisation | the policies |

So policies take rights from the holders of tokens, and never give them more than their roles do. What is
known without an evaluation is not evaluated: with the shipped policies, everything that roles decide, and all
reading.

Import and export jobs, and writes that reach beyond the entities that they name, are for tokens alone,
whatever the policies permit: no rule about entities bounds them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hansa.core.access import (
    OPERATOR,
    AccessRefusal,
    AccessTarget,
    Action,
    Caller,
    Decision,
    EntityFacts,
    ReadReach,
    authorize_by_role,
)
from hansa.core.cache import Cache
from hansa.core.certificates.elsi import elsi_did
from hansa.core.clock import Clock, epoch_s
from hansa.core.errors import Code
from hansa.identity.rights.policies import AccessPolicies, PolicyApplies, PolicyVerdict
from hansa.identity.rights.resources import (
    ACTIONS,
    ONBOARDING,
    ORDERING,
    POWER_ACTIONS,
    caller_entity,
    circumstances,
    entity_parties,
    function_of,
    resource_entity,
)
from hansa.identity.rights.starlark_policy import FILE_NAME

RULES_MAX: Final = 2048
TIMED_S: Final = 60
"""How long a list holds whose policies depend on the time."""
DOMAIN: Final = "DOME"
_ORDERS: Final = frozenset({"ProductOrder", "ServiceOrder", "ResourceOrder", "Quote"})


class AccessDecided(msgspec.Struct, frozen=True):
    """A decision by the policies, for the log and for explanations."""

    action: Action
    collection: str
    caller: Caller
    verdict: PolicyVerdict
    refusal: AccessRefusal | None


Record = Callable[[AccessDecided], None]
PartyRolesOf = Callable[[str], frozenset[str]]
"""The party roles of an organisation that was approved here; of any other, none."""


def record_nothing(decided: AccessDecided) -> None:
    """No log."""
    del decided


def no_party_roles(organization: str) -> frozenset[str]:
    """Nobody was approved."""
    del organization
    return frozenset()


class AccessRights:
    """Decides what callers may do; an `Authorize`.

    Args:
        policies: In force until others are adopted.
        clock: For policies that depend on the time.
        record: Logs decisions of the policies about writes, and what they refuse.
        party_roles: For policies that distinguish approved organisations.
    """

    def __init__(
        self,
        policies: AccessPolicies,
        clock: Clock,
        record: Record = record_nothing,
        party_roles: PartyRolesOf = no_party_roles,
    ) -> None:
        self._policies = policies
        self._party_roles = party_roles
        self._clock = clock
        self._record = record
        self._rules: Cache[tuple[Caller, str], Decision] = Cache("access_rules", RULES_MAX)
        """Of reading, by caller and collection, while the shipped policies decide about that."""

    @property
    def policies(self) -> AccessPolicies:
        """Those in force."""
        return self._policies

    def adopt(self, policies: AccessPolicies) -> None:
        """Decide by other policies from now on."""
        self._rules.clear()
        self._policies = policies

    def __call__(self, caller: Caller, action: Action, target: AccessTarget, /) -> Decision:
        """See `hansa.core.access.Authorize`."""
        policies = self._policies
        if caller.organization is None or OPERATOR in caller.roles:
            by_role = authorize_by_role(caller, action, target)
            if policies.is_shipped or (policies.reads_as_shipped and action is Action.READ):
                return by_role
            if by_role.refusal is not None or target.is_job:
                return by_role
            rule = AccessRule(self, caller, action, target, public_only=by_role.public_only)
            return Decision(public_only=True, rule=rule)
        is_remembered = action is Action.READ and policies.reads_as_shipped
        known = self._rules.get((caller, target.collection)) if is_remembered else None
        if known is not None:
            return known
        decision = self._for_organization(caller, action, target)
        if is_remembered:
            self._rules.put((caller, target.collection), decision)
        return decision

    def _for_organization(self, caller: Caller, action: Action, target: AccessTarget) -> Decision:
        """The decision about somebody who acts for an organisation, and is no operator."""
        policies = self._policies
        by_role = authorize_by_role(msgspec.structs.replace(caller, roles=frozenset()), action, target)
        if by_role.refusal is Code.METHOD_NOT_ALLOWED:
            return by_role
        if target.is_job or action is Action.EXPORT:
            reason = "Import and export jobs reach all entities: they are for tokens of this marketplace."
            return Decision(Code.FORBIDDEN, reason)
        has_parties = target.is_catalogue or target.party_attributes or target.is_below
        if action is Action.READ and policies.reads_as_shipped and not has_parties:
            reason = f"Entities of type {target.type} are private, and name no organisation as a party."
            return Decision(Code.FORBIDDEN, reason)
        rule = AccessRule(self, caller, action, target, public_only=False)
        return Decision(public_only=True, rule=rule)

    def explain(
        self,
        caller: Caller,
        action: Action,
        target: AccessTarget,
        facts: EntityFacts,
        aliases: frozenset[str],
    ) -> tuple[AccessRefusal | None, tuple[PolicyApplies, ...]]:
        """The decision about an entity, and each policy with whether it applies."""
        decision = self(caller, action, target)
        if decision.refusal is not None:
            return AccessRefusal(decision.refusal, decision.reason), ()
        refusal = None if decision.rule is None else decision.rule.refusal(facts, aliases)
        if decision.rule is None and decision.public_only and not facts.is_public:
            refusal = AccessRefusal(Code.NOT_FOUND, "It is not public.")
        explained = self._policies.explain(
            ACTIONS[action],
            self.principal(caller),
            resource_entity(target, facts, caller.organization, aliases),
            circumstances(caller, self._clock.now()),
        )
        return refusal, explained

    def decide(
        self,
        caller: Caller,
        action: Action,
        target: AccessTarget,
        facts: EntityFacts,
        aliases: frozenset[str],
    ) -> PolicyVerdict:
        """What the policies say of one entity."""
        verdict = self._policies.decide(
            ACTIONS[action],
            self.principal(caller),
            resource_entity(target, facts, caller.organization, aliases),
            circumstances(caller, self._clock.now()),
        )
        starlark = self._policies.starlark
        if starlark is None or not verdict.is_allowed or OPERATOR in caller.roles:
            return verdict
        if not facts.is_whole:  # it may look at anything
            return PolicyVerdict(False, (FILE_NAME,))
        problem = starlark.problem(caller, action, target, facts, aliases)
        return verdict if problem is None else PolicyVerdict(False, (FILE_NAME,))

    def principal(self, caller: Caller) -> dict[str, Any]:
        """A caller, as policies see it now."""
        organization = caller.organization
        return caller_entity(caller, frozenset() if organization is None else self._party_roles(organization))

    def note(self, decided: AccessDecided) -> None:
        """Record a decision."""
        self._record(decided)

    def period(self) -> int:
        """Another number when policies that depend on the time may decide otherwise."""
        return epoch_s(self._clock) // TIMED_S if self._policies.needs_time else 0


class AccessRule:
    """An `EntityRule` by the policies."""

    def __init__(
        self,
        rights: AccessRights,
        caller: Caller,
        action: Action,
        target: AccessTarget,
        *,
        public_only: bool,
    ) -> None:
        self._rights = rights
        self._caller = caller
        self._action = action
        self._target = target
        self._public_only = public_only
        """What the roles of a token leave of reading."""
        self._reach: tuple[frozenset[str], ReadReach] | None = None

    def refusal(self, facts: EntityFacts, aliases: frozenset[str], /) -> AccessRefusal | None:
        """See `hansa.core.access.EntityRule`."""
        if self._action is not Action.READ:
            return self._of_write(facts, aliases)
        return None if self._may_read(facts, aliases) else self._unknown()

    def reach(self, aliases: frozenset[str], /) -> ReadReach:
        """See `hansa.core.access.EntityRule`."""
        assert self._action is Action.READ, "only what is read is listed"
        caller, policies = self._caller, self._rights.policies
        if self._reach is not None and self._reach[0] == aliases:
            return self._reach[1]
        facts = (caller.organization, sorted(aliases))
        if policies.reads_as_shipped:
            reach = self._reach_of_party(msgspec.json.encode(facts).decode(), aliases, None)
            self._reach = aliases, reach
            return reach

        def holds(fields: Mapping[str, Any], is_public: bool) -> bool:
            return self._may_read(EntityFacts(fields, is_public), aliases)

        key = _digest(
            (*facts, self._rights.principal(caller), caller.member, policies.digest, self._rights.period())
        )
        if caller.organization is not None and policies.only_forbids_reads and OPERATOR not in caller.roles:
            return self._reach_of_party(key, aliases, holds)
        return ReadReach(key, public=True, holds=holds, has_other_permits=True, public_only=self._public_only)

    def is_of_caller(self, facts: EntityFacts, aliases: frozenset[str], /) -> bool:
        """See `hansa.core.access.EntityRule`."""
        organization = self._caller.organization
        if organization is None or OPERATOR in self._caller.roles:
            return not self._public_only
        parties = entity_parties(self._target, facts.fields, organization, aliases)
        return organization in parties.all | parties.owners

    def completed(self, fields: dict[str, Any], /) -> None:
        """See `hansa.core.access.EntityRule`."""
        organization, attributes = self._caller.organization, self._target.party_attributes
        if organization is None or not attributes or self._caller.roles & {OPERATOR}:
            return
        parties = entity_parties(self._target, fields, organization, frozenset())
        is_order = self._target.collection in _ORDERS
        if parties.buyers if is_order else parties.owners:
            return
        attribute = "relatedParty" if "relatedParty" in attributes else attributes[0]
        party = {
            "id": elsi_did(organization),
            "role": "Buyer" if is_order else "Owner",
            "@referredType": "Organization",
        }
        current = fields.get(attribute)
        if current is None or isinstance(current, list):
            fields[attribute] = [*(current or ()), party]

    def _reach_of_party(
        self, key: str, aliases: frozenset[str], holds: Callable[[Mapping[str, Any], bool], bool] | None
    ) -> ReadReach:
        assert self._caller.organization is not None, "strangers are no party"
        did = elsi_did(self._caller.organization)
        return ReadReach(
            key,
            public=self._target.is_catalogue,
            parties=(did, *sorted(aliases)),
            names=(did,),
            holds=holds,
        )

    def _may_read(self, facts: EntityFacts, aliases: frozenset[str]) -> bool:
        if self._public_only and not facts.is_public:
            return False
        if self._rights.policies.reads_as_shipped:
            # As public-is-read-by-everyone and parties-read of default.cedar decide.
            return facts.is_public or self._is_party(facts, aliases)
        return self._decided(Action.READ, facts, aliases).is_allowed

    def _is_party(self, facts: EntityFacts, aliases: frozenset[str]) -> bool:
        organization = self._caller.organization
        parties = entity_parties(self._target, facts.fields, organization, aliases)
        return organization in parties.all

    def _of_write(self, facts: EntityFacts, aliases: frozenset[str]) -> AccessRefusal | None:
        verdict = self._decided(self._action, facts, aliases)
        refusal = None if verdict.is_allowed else self._write_refusal(verdict, facts, aliases)
        self._rights.note(
            AccessDecided(self._action, self._target.collection, self._caller, verdict, refusal)
        )
        return refusal

    def _decided(self, action: Action, facts: EntityFacts, aliases: frozenset[str]) -> PolicyVerdict:
        return self._rights.decide(self._caller, action, self._target, facts, aliases)

    def _write_refusal(
        self, verdict: PolicyVerdict, facts: EntityFacts, aliases: frozenset[str]
    ) -> AccessRefusal:
        """Why a write is refused; nothing of an entity that the caller may not even know of."""
        caller, target = self._caller, self._target
        if self._action is not Action.CREATE:
            may_read = self._rights(caller, Action.READ, target)
            rule = may_read.rule
            if may_read.refusal is not None or (rule is not None and rule.refusal(facts, aliases)):
                return self._unknown()
        if verdict.problem is not None:
            return AccessRefusal(
                Code.FORBIDDEN, "An access policy of this marketplace cannot be evaluated on it."
            )
        if verdict.policies:
            return AccessRefusal(Code.FORBIDDEN, f"The access policy {verdict.policies[0]} forbids it.")
        organization = caller.organization
        if organization is None:
            return AccessRefusal(Code.FORBIDDEN, "No access policy of this marketplace permits it.")
        parties = entity_parties(target, facts.fields, organization, aliases)
        is_order = self._action is Action.CREATE and target.collection in _ORDERS
        belongs_to = parties.buyers if is_order else parties.owners
        if belongs_to != {organization}:
            role = "buyer" if is_order else "owner"
            reason = f"Only people of the one organisation that is its {role} may do this, and {organization} is not."
            return AccessRefusal(Code.FORBIDDEN, reason)
        power = power_for(target, self._action)
        if not any(one.covers(*power) for one in caller.powers):
            reason = f"This takes the power {'/'.join(power)} of {organization}, which the credential does not give."
            return AccessRefusal(Code.POWER_MISSING, reason)
        return AccessRefusal(Code.FORBIDDEN, "No access policy of this marketplace permits it.")

    def _unknown(self) -> AccessRefusal:
        return AccessRefusal(Code.NOT_FOUND, f"There is no such {self._target.type}.")


def power_for(target: AccessTarget, action: Action) -> tuple[str, str, str]:
    """Domain, function and action of the power that the shipped policies need for a write."""
    function = function_of(target)
    if function == ONBOARDING:
        return DOMAIN, function, "Execute"
    if action is Action.CREATE and function == ORDERING:
        return DOMAIN, function, "Create"
    return DOMAIN, function, POWER_ACTIONS[action]


def _digest(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()
