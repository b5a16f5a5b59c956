"""Cedar policies of a file: read whole or not at all, within bounds, and in agreement with a schema.

Each policy has an `@id` of its own, by which decisions name it. There are no templates, since nothing fills
in their slots. Cedar has no loops, so that an evaluation takes time by the size of the policies and of what
they look at, both of which are bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

import msgspec

from hansa.core.errors import Code, Fatal

FILE_SIZE_MAX_BYTES: Final = 65_536
POLICIES_MAX: Final = 100
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

DescribedPolicy = dict[str, Any]
"""A policy in Cedar's JSON form."""


class Evaluations(msgspec.Struct, frozen=True):
    """How often policies were evaluated, and how long that took."""

    count: int = 0
    seconds: float = 0.0


def read_policies(source: str, text: str, schema: str) -> dict[str, DescribedPolicy]:
    """The policies of a file, by their ids, in the order of the file.

    Args:
        source: Of the text, as messages name it.
        text: Its content.
        schema: With which they have to agree.

    Raises:
        Fatal: `Code.SETTINGS_INVALID`, naming the source, the place and the reason.
    """
    import cedarpy

    if len(text.encode()) > FILE_SIZE_MAX_BYTES:
        raise invalid(source, f"it has more than {FILE_SIZE_MAX_BYTES:,} bytes")
    try:
        form = msgspec.json.decode(cedarpy.policies_to_json_str(text))
    except ValueError as error:
        raise invalid(source, str(error)) from error
    if form.get("templates"):
        raise invalid(source, "it has a template, and nothing fills in its slots")
    described = [form["staticPolicies"][f"policy{n}"] for n in range(len(form["staticPolicies"]))]
    if len(described) > POLICIES_MAX:
        raise invalid(source, f"it has {len(described)} policies, and at most {POLICIES_MAX} are allowed")
    ids = [_id_of(source, number, one) for number, one in enumerate(described, 1)]
    repeated = [one for one, count in Counter(ids).items() if count > 1]
    if repeated:
        raise invalid(source, f"two policies have the id {repeated[0]}")
    result = cedarpy.validate_policies(text, schema)
    if not result.validation_passed:
        first = result.errors[0]
        number = first.policy_id.removeprefix("policy")
        place = f"policy {ids[int(number)]}: " if number.isdigit() and int(number) < len(ids) else ""
        raise invalid(source, place + first.error)
    return dict(zip(ids, described, strict=True))


def policy_set(described: dict[str, DescribedPolicy]) -> str:
    """Policies as one document, as `cedarpy.PolicySet.from_json_str` takes it."""
    named = {"staticPolicies": described, "templates": {}, "templateLinks": []}
    return msgspec.json.encode(named).decode()


def invalid(source: str, reason: str) -> Fatal:
    """The error of a file."""
    return Fatal(Code.SETTINGS_INVALID, f"{source}: {reason.rstrip('.')}.")


def _id_of(source: str, number: int, policy: DescribedPolicy) -> str:
    annotated = policy.get("annotations", {}).get("id")
    if not isinstance(annotated, str) or _ID.fullmatch(annotated) is None:
        raise invalid(
            source,
            f'policy {number} has no name: write @id("…") before it, with letters, digits, dots, dashes and underscores',
        )
    return annotated
