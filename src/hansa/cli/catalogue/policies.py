"""`hansa policy check|test`: the files of policies, and what they decide about an entity."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from hansa.business.models import load as load_models
from hansa.business.visibility import PublicParts
from hansa.cli.catalogue.access import ACCESS_ACTIONS, run_access_test
from hansa.cli.local import CLOCK, ENVIRONMENT
from hansa.cli.output import Output
from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json, hashlink
from hansa.core.errors import Code, Refused
from hansa.core.files import read_file
from hansa.identity.rights.policies import AccessPolicies, read_texts
from hansa.node.folder import ACCESS_POLICIES, POLICIES, read_card
from hansa.node.settings.loading import load_settings
from hansa.replication.conditions.cedar import ACTIONS, Action, PolicyOutcome
from hansa.replication.conditions.files import Conditions, read_conditions
from hansa.replication.conditions.policy import DistributionPolicy
from hansa.replication.conditions.unmet import Unmet
from hansa.store import Entity

EVERY_ACTION: Final[tuple[Action, ...]] = get_args(Action)


class ActionDecision(msgspec.Struct, frozen=True):
    """What is decided about one action."""

    action: Action
    is_allowed: bool
    condition: str | None
    """The condition that is not met."""
    reason: str | None
    policies: tuple[PolicyOutcome, ...] = ()


def run_check(folder: Path, output: Output) -> None:
    """Show what the files hold.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`: the folder is none, or a file is not valid.
    """
    load_settings(folder, ENVIRONMENT)
    conditions = read_conditions(folder / POLICIES, CLOCK)
    access = AccessPolicies(read_texts(folder / ACCESS_POLICIES), CLOCK)
    policies = {one.name: one for one in conditions.policies}
    if output.as_json:
        files = {name: {"policies": len(one), "digest": one.digest} for name, one in policies.items()}
        output.document({**files, "access": {"policies": len(access), "digest": access.digest}})
        return
    for name in ACTIONS:
        known = policies.get(name)
        count = "no file, and no conditions" if known is None else f"{len(known)} policies"
        output.data(f"{POLICIES / name}: {count}")
    names = ", ".join(access.files) or "no file"
    output.data(f"{ACCESS_POLICIES}: {len(access)} policies with the shipped ones ({names})")


def run_test(
    folder: Path,
    entity: Path,
    origin: Path | None,
    actions: Sequence[str],
    output: Output,
    *,
    is_explained: bool,
) -> int:
    """Show what is decided about an entity; exit status.

    Raises:
        HansaError: A file cannot be read or is not valid.
    """
    if actions and all(one in ACCESS_ACTIONS for one in actions):
        return run_access_test(folder, _fields(entity), origin, actions, output, is_explained=is_explained)
    did = load_settings(folder, ENVIRONMENT).did
    issuer = did if origin is None else read_card(origin).member.did
    fields = _fields(entity)
    requested = actions or (("publish",) if origin is None else ("retrieve", "store"))
    unknown = [one for one in requested if one not in EVERY_ACTION]
    if unknown:
        known = ", ".join(EVERY_ACTION)
        raise Refused(
            Code.INVALID,
            f"--action {unknown[0]}: must be one of {known}; of access, {', '.join(ACCESS_ACTIONS)}.",
        )
    conditions = read_conditions(folder / POLICIES, CLOCK)
    decisions = [
        _decision(action, conditions, did, issuer, fields, is_explained=is_explained)
        for action in EVERY_ACTION
        if action in requested
    ]
    if output.as_json:
        output.document({"id": fields["id"], "type": fields["@type"], "decisions": decisions})
    else:
        _show(decisions, output)
    return 0 if all(one.is_allowed for one in decisions) else 1


def _fields(path: Path) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(read_file(path, "Name the file of an entity."))
    except UNREADABLE as error:
        raise Refused(Code.INVALID, f"{path} is not JSON: {error}.") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("@type"), str):
        raise Refused(Code.INVALID, f"{path} is no entity: a JSON object with @type.")
    return {"id": "urn:example:entity", **fields}


def _decision(
    action: Action,
    conditions: Conditions,
    did: str,
    issuer: str,
    fields: dict[str, Any],
    *,
    is_explained: bool,
) -> ActionDecision:
    models = load_models()
    parts, body = PublicParts(models), canonical_json(fields)
    policy = DistributionPolicy(did, models.catalogue_types, parts, "", conditions)
    origin = None if action == "publish" else issuer
    entity = Entity(fields["id"], fields["@type"], body, hashlink(body), True, origin, 1)
    unmet: Unmet | None = None
    if action == "publish":
        entity = msgspec.structs.replace(entity, public=parts.is_public(entity))
        outcome = policy.publishes(entity)
        unmet = outcome if isinstance(outcome, Unmet) else None
    elif entity.type not in policy.types:
        unmet = Unmet("type", f"Entities of type {entity.type} are private.")
    elif action == "retrieve":
        unmet = conditions.of_entity(("retrieve",), issuer, entity.type, body)
    else:
        unmet = policy.accepts(entity)
    explained = conditions.explain(action, issuer, entity.type, body) if is_explained else ()
    condition, reason = (unmet.condition, unmet.reason) if unmet is not None else (None, None)
    return ActionDecision(action, unmet is None, condition, reason, explained)


def _show(decisions: Sequence[ActionDecision], output: Output) -> None:
    for one in decisions:
        why = "" if one.is_allowed else f"  [{one.condition}] {one.reason}"
        output.data(f"{one.action:<9} {'allowed' if one.is_allowed else 'refused'}{why}")
        for policy in one.policies:
            applies = policy.error or ("applies" if policy.applies else "does not apply")
            output.data(f"    {policy.effect:<7} {policy.id}: {applies}")
