"""A policy in Starlark, in the form of DOME's: a function `authorize()` that looks at `input`.

    input.request   action (READ, CREATE, UPDATE, DELETE), method, tmf_resource, tmf_id; what a decision does
                    not know, as path, query and headers, is empty
    input.token     vc.credentialSubject.mandate with mandator, mandatee and power
    input.user      isAuthenticated, organizationIdentifier, country, isLEAR, isOwner, isSeller, isBuyer
    input.tmf       the attributes of the entity, type, organizationIdentifier of its owner, owner, and the
                    countries and operators that its terms permit and prohibit

It stands beside the Cedar policies, and both have to allow; operators are not asked. An evaluation has
`TIME_MAX_S` and `CALLS_DEEP_MAX`; one that takes more, fails, or returns anything but True refuses. Nothing
can be loaded, and what is printed goes nowhere. What one instruction could take is bounded when the file is
loaded (`starlark_bounds`), and of an entity with more than `ENTITY_MAX_BYTES` it refuses unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from hansa.core.access import AccessTarget, Action, Caller, EntityFacts
from hansa.core.cedar import FILE_SIZE_MAX_BYTES, invalid
from hansa.core.clock import Clock
from hansa.identity.rights.resources import ONBOARDING, entity_parties
from hansa.identity.rights.starlark_bounds import ENTITY_MAX_BYTES, unbounded

FILE_NAME: Final = "auth_policies.star"
TIME_MAX_S: Final = 0.05
CALLS_DEEP_MAX: Final = 80
PANIC: Final = "PanicException"
"""What is raised when the interpreter, which is written in Rust, panics; no `Exception`, and of no module."""
_PRELUDE: Final = """
def print(*args, **kwargs):
    pass

def _shaped(value):
    if type(value) == "dict":
        return struct(**{name: _shaped(one) for name, one in value.items()})
    if type(value) == "list":
        return [_shaped(one) for one in value]
    return value

input = _shaped(input_data)
"""
_ACTIONS: Final = {
    Action.READ: ("READ", "GET"),
    Action.EXPORT: ("READ", "GET"),
    Action.CREATE: ("CREATE", "POST"),
    Action.CHANGE: ("UPDATE", "PATCH"),
    Action.DELETE: ("DELETE", "DELETE"),
}


class StarlarkPolicy:
    """One file.

    Args:
        name: Of the file, for messages.
        text: Its content.
        clock: Bounds evaluations.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`.
    """

    def __init__(self, name: str, text: str, clock: Clock) -> None:
        import starlark

        self._starlark = starlark
        self._clock = clock
        source = f"policies/access/{name}"
        if len(text.encode()) > FILE_SIZE_MAX_BYTES:
            raise invalid(source, f"it has more than {FILE_SIZE_MAX_BYTES:,} bytes")
        extensions = [starlark.LibraryExtension.StructType, starlark.LibraryExtension.Json]
        self._globals = starlark.Globals.extended_by(extensions)
        try:
            self._prelude = starlark.parse("prelude", _PRELUDE)
            self._policy = starlark.parse(name, text)
            if self._policy.loads():
                raise invalid(source, "it loads another file")
            _check_bounded(source, text)
            self._frozen({"request": {}, "token": {}, "user": {}, "tmf": {}}, self._options())
        except starlark.StarlarkError as error:
            raise invalid(source, str(error).strip().splitlines()[-1] if str(error) else "") from error
        if "authorize" not in text:
            raise invalid(source, "it has no function authorize()")

    def problem(
        self,
        caller: Caller,
        action: Action,
        target: AccessTarget,
        facts: EntityFacts,
        aliases: frozenset[str],
    ) -> str | None:
        """Why it refuses; None: it allows."""
        if len(msgspec.json.encode(facts.fields)) > ENTITY_MAX_BYTES:
            return "cannot be evaluated on so much"
        try:
            options = self._options()
            frozen = self._frozen(_input(caller, action, target, facts, aliases), options)
            result = frozen.call_with(options, "authorize").value
        except self._starlark.StarlarkError:
            return "cannot be evaluated"
        except BaseException as error:
            if type(error).__name__ != PANIC:
                raise
            return "cannot be evaluated"  # the interpreter gave up, as for want of memory
        return None if result is True else "does not allow it"

    def _frozen(self, data: dict[str, Any], options: Any) -> Any:
        module = self._starlark.Module()
        module["input_data"] = data
        for one in (self._prelude, self._policy):
            self._starlark.eval_with(options, module, one, self._globals)
        return module.freeze()

    def _options(self) -> Any:
        """What one evaluation may take in all."""
        return self._starlark.EvalOptions(check_cancelled=self._deadline(), max_callstack_size=CALLS_DEEP_MAX)

    def _deadline(self) -> Callable[[], bool]:
        end_s = self._clock.monotonic() + TIME_MAX_S
        return lambda: self._clock.monotonic() > end_s


def _check_bounded(source: str, text: str) -> None:
    """Refuse a text of which nothing bounds what it may take, before any of it is evaluated."""
    try:
        problem = unbounded(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        problem = "it is nested too deeply, or written in a way that is not understood"
    if problem is not None:
        raise invalid(source, f"nothing bounds what it may take: {problem}")


def _input(
    caller: Caller, action: Action, target: AccessTarget, facts: EntityFacts, aliases: frozenset[str]
) -> dict[str, Any]:
    organization = caller.organization or ""
    parties = entity_parties(target, facts.fields, caller.organization, aliases)
    name, method = _ACTIONS[action]
    resource = target.type[:1].lower() + target.type[1:]
    owners = sorted(parties.owners)
    owner = owners[0] if len(owners) == 1 else ""
    mandate = {
        "mandator": {"organizationIdentifier": organization, "country": organization[3:5]},
        "mandatee": {},
        "power": [
            {
                "type": "domain",
                "domain": one.domain,
                "function": one.function,
                "action": list(one.actions),
                "tmf_domain": [one.domain],
                "tmf_function": one.function,
                "tmf_action": list(one.actions),
            }
            for one in caller.powers
        ],
    }
    return {
        "request": {
            "action": name,
            "method": method,
            "tmf_resource": resource,
            "tmf_id": str(facts.fields.get("id", "")),
            "host": "",
            "remote_addr": "",
            "path": "",
            "query": {},
            "headers": {},
        },
        "token": {"vc": {"credentialSubject": {"mandate": mandate}}},
        "user": {
            "isAuthenticated": caller.is_authenticated,
            "organizationIdentifier": organization,
            "country": organization[3:5],
            "isLEAR": any(one.covers("DOME", ONBOARDING, "Execute") for one in caller.powers),
            "isOwner": bool(organization) and parties.owners == {organization},
            "isSeller": ("seller", organization) in parties.roles,
            "isBuyer": organization in parties.buyers,
        },
        "tmf": {
            **facts.fields,
            "type": resource,
            "organizationIdentifier": owner,
            "owner": {"organizationIdentifier": owner},
            "permittedCountries": list(_of_terms(facts.fields, "permittedCustomerRegion", "country")),
            "prohibitedCountries": list(_of_terms(facts.fields, "prohibitedCustomerRegion", "country")),
            "permittedOperators": list(_of_terms(facts.fields, "permittedOperator", "id")),
            "prohibitedOperators": list(_of_terms(facts.fields, "prohibitedOperator", "id")),
        },
    }


def _of_terms(fields: Mapping[str, Any], attribute: str, member: str) -> Iterator[str]:
    """What the terms of an offering list."""
    terms = fields.get("productOfferingTerm")
    for term in terms if isinstance(terms, list) else ():
        listed = term.get(attribute) if isinstance(term, dict) else None
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict) and isinstance(one.get(member), str):
                yield one[member]
