"""What an import job does: content into records, records into entities.

Every record is written as a POST or PUT would write it, with the same checks, in transactions of many
records; a record that is refused is reported in the job's error log, and the others are written. Writing a
record again changes nothing, and the progress of the job is committed with each batch, so that after a crash
a job continues where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from hansa.business.jobs.scope import JobScope
from hansa.business.models import Resource
from hansa.business.operations.api_operations import ApiOperations
from hansa.business.validation.violations import Violation, refuse
from hansa.core.bounded_json import read_json
from hansa.core.errors import Code, Refused
from hansa.core.limits import Limits
from hansa.store import Transaction
from hansa.store.tables.jobs import JobProgress

ERROR_MAX_CHARS: Final = 300


def records(content: bytes, scope: JobScope) -> list[bytes]:
    """The records of a content, in order; of one object a line, empty lines are empty records.

    Raises:
        Refused: `Code.MALFORMED`, when it has to be an array and is none.
    """
    if not scope.is_array:
        return content.split(b"\n")
    try:
        return [bytes(one) for one in msgspec.json.decode(content, type=list[msgspec.Raw])]
    except (msgspec.MsgspecError, RecursionError):
        raise Refused(Code.MALFORMED, "The content is not a JSON array.") from None


class Batches:
    """Writes the records of one job."""

    def __init__(self, scope: JobScope, operations: ApiOperations, limits: Limits) -> None:
        self._scope = scope
        self._operations = operations
        self._limits = limits
        self._by_name = {one.name: one for one in scope.resources}
        self._by_type = {one.type: one for one in scope.resources}

    async def write(self, tx: Transaction, batch: Sequence[bytes], progress: JobProgress) -> JobProgress:
        """Write a batch; returns the progress of the job after it."""
        done, failed, errors = progress.done, progress.failed, list(progress.errors)
        for number, raw in enumerate(batch, progress.position + 1):
            if not raw.strip():
                continue
            try:
                body = self._body(raw)
                update = self._operations[self._resource(body).collection].update
                await update.create_or_replace_within(tx, body)
                done += 1
            except Refused as error:
                failed += 1
                if len(errors) < self._limits.job_errors_max:
                    errors.append(f"Record {number}: {error.message[:ERROR_MAX_CHARS]}")
        return JobProgress(progress.id, progress.position + len(batch), done, failed, tuple(errors))

    def _body(self, raw: bytes) -> dict[str, Any]:
        if len(raw) > self._limits.body_size_max_bytes:
            raise Refused(Code.TOO_LARGE, f"A record has at most {self._limits.body_size_max_bytes} bytes.")
        body = read_json(raw, self._limits)
        if type(body) is not dict:
            refuse([Violation("The record", "must be a JSON object", body)])
        fields: dict[str, Any] = body
        return fields

    def _resource(self, body: Mapping[str, Any]) -> Resource:
        """The resource that a record is of: the job's own, or by `href` or `@type`."""
        if len(self._scope.resources) == 1:
            return self._scope.resources[0]
        href, type_name = body.get("href"), body.get("@type")
        name = href.rstrip("/").split("/")[-2] if isinstance(href, str) and href.count("/") > 1 else ""
        resource = self._by_name.get(name)
        if resource is None and isinstance(type_name, str):
            resource = self._by_type.get(type_name)
        if resource is None:
            refuse([Violation("@type", f"must be one of {', '.join(self._by_type)}", type_name)])
        assert resource is not None, "refused otherwise"
        return resource


def error_log(progress: JobProgress) -> str:
    """The report on the records that were refused, for the job's `errorLog`."""
    lines = [
        f"{progress.failed} of {progress.done + progress.failed} records were refused.",
        *progress.errors,
    ]
    more = progress.failed - len(progress.errors)
    return "\n".join([*lines, f"and {more} more"] if more > 0 else lines)
