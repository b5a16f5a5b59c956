"""`hansa policy test` about access: what the access policies decide about a caller and an entity, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from hansa.business.models import load as load_models
from hansa.business.rights.targets import access_target
from hansa.business.visibility import PublicParts
from hansa.cli.local import CLOCK, ENVIRONMENT
from hansa.cli.output import Output
from hansa.core.access import ANONYMOUS, READERS, Action, Caller, EntityFacts, Power
from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.certificates.elsi import read_organization
from hansa.core.errors import Code, Refused
from hansa.core.files import read_file
from hansa.identity.rights.deciding import AccessRights
from hansa.identity.rights.policies import AccessPolicies, PolicyApplies, read_texts
from hansa.node.folder import ACCESS_POLICIES
from hansa.node.settings.loading import load_settings
from hansa.store import Entity

ACCESS_ACTIONS: Final = ("read", "create", "change", "delete")


class _CallerForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """The file of a caller."""

    organization: str | None = None
    powers: tuple[Power, ...] = ()
    roles: frozenset[str] = frozenset()
    is_machine: bool = False


class AccessOutcome(msgspec.Struct, frozen=True):
    """What is decided about one action."""

    action: str
    is_allowed: bool
    code: str | None
    reason: str | None
    policies: tuple[PolicyApplies, ...] = ()


def run_access_test(
    folder: Path,
    fields: dict[str, Any],
    caller_file: Path | None,
    actions: Sequence[str],
    output: Output,
    *,
    is_explained: bool,
) -> int:
    """Show what is decided about a caller and an entity; exit status.

    Raises:
        HansaError: A file cannot be read or is not valid.
    """
    load_settings(folder, ENVIRONMENT)
    rights = AccessRights(AccessPolicies(read_texts(folder / ACCESS_POLICIES), CLOCK), CLOCK)
    caller = ANONYMOUS if caller_file is None else _caller(caller_file)
    models = load_models()
    target = access_target(*models.served(fields["@type"]))
    body = canonical_json(fields)
    entity = Entity(fields["id"], target.collection, body, hashlink(body), False, None, 1)
    facts = EntityFacts(fields, PublicParts(models).is_public(entity))
    outcomes: list[AccessOutcome] = []
    for action in ACCESS_ACTIONS:
        if action in actions:
            refusal, policies = rights.explain(caller, Action(action), target, facts, frozenset())
            code, reason = (None, None) if refusal is None else (str(refusal.code), refusal.reason)
            outcomes.append(
                AccessOutcome(action, refusal is None, code, reason, policies if is_explained else ())
            )
    if output.as_json:
        output.document({"id": fields["id"], "type": fields["@type"], "decisions": outcomes})
    else:
        _show(outcomes, output)
    return 0 if all(one.is_allowed for one in outcomes) else 1


def _caller(path: Path) -> Caller:
    content = read_file(path, "Name the file of a caller, or leave --as out for a stranger.")
    try:
        form = msgspec.json.decode(content, type=_CallerForm)
    except UNREADABLE as error:
        raise Refused(Code.INVALID, f"{path} is no caller: {error}.") from error
    organization = None if form.organization is None else read_organization(form.organization)
    if form.organization is not None and organization is None:
        raise Refused(
            Code.INVALID,
            f"{path}: {form.organization!r} is no identifier of an organisation, as VATES-12345678.",
        )
    unknown = sorted(form.roles - READERS)
    if unknown:
        raise Refused(Code.INVALID, f"{path}: {unknown[0]!r} is no role.")
    return Caller(
        "tested", form.roles, organization=organization, powers=form.powers, is_machine=form.is_machine
    )


def _show(outcomes: Sequence[AccessOutcome], output: Output) -> None:
    for one in outcomes:
        why = "" if one.is_allowed else f"  [{one.code}] {one.reason}"
        output.data(f"{one.action:<9} {'allowed' if one.is_allowed else 'refused'}{why}")
        for policy in one.policies:
            applies = policy.error or ("applies" if policy.applies else "does not apply")
            output.data(f"    {policy.effect:<7} {policy.policy}: {applies}")
