"""What a job is about: resources, filters, form and place of its content (TMF630 Part 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import msgspec

from hansa.business.context import Context
from hansa.business.jobs.files import ARRAY, CONTENT, CONTENT_TYPES, IMPORT, LINES, is_job
from hansa.business.models import Resource
from hansa.business.query import ListRequest, list_request
from hansa.business.representation import collection_address
from hansa.business.served_resource import ServedResource
from hansa.business.validation.violations import Violation, refuse


class JobScope(msgspec.Struct, frozen=True):
    """What a job is about."""

    resources: tuple[Resource, ...]
    lists: tuple[ListRequest, ...]
    """For each of the resources, the request for a list of what the job is about."""
    content_type: str
    url: str
    """Where its content is, in full."""
    is_upload: bool
    """A client uploads the content of this import."""

    @property
    def is_array(self) -> bool:
        """Whether the content is a JSON array, and not one object a line."""
        return self.content_type == ARRAY


def scope_of(served: ServedResource, job: Mapping[str, Any], context: Context) -> JobScope:
    """What a job is about.

    Raises:
        Refused: `Code.INVALID` or `Code.MALFORMED`, naming the attribute that is wrong.
    """
    content_type = job.get("contentType") or LINES
    if content_type not in CONTENT_TYPES:
        refuse([Violation("contentType", f"must be {' or '.join(CONTENT_TYPES)}", content_type)])
    resources = _resources(served, job.get("path") or "", context)
    query = job.get("query") or ""
    lists = tuple(_list(served, one, str(query), context) for one in resources)
    own = f"{served.representation(None).address(str(job.get('id') or '-'))}/"
    url = urljoin(own, str(job.get("url") or ""))
    is_upload = served.resource.type == IMPORT and url == own + CONTENT
    return JobScope(resources, lists, content_type, url, is_upload)


def _resources(served: ServedResource, path: Any, context: Context) -> tuple[Resource, ...]:
    """The resources at a path: one, or all of the API but its jobs."""
    offered = [one for one in served.api.resources if not is_job(one) and one.parent_name is None]
    name = str(path).removeprefix(context.endpoint).strip("/")
    base = served.api.base_path.strip("/")
    name = name.removeprefix(base).strip("/")
    resources = tuple(one for one in offered if not name or one.path == name)
    if not resources:
        refuse([Violation("path", f"must be a resource of this API, as /{offered[0].path}", path)])
    return resources


def _list(served: ServedResource, resource: Resource, query: str, context: Context) -> ListRequest:
    address = collection_address(context.endpoint, served.api, resource, None)
    raw = query.removeprefix("?").encode()
    requested = list_request(raw, served.api, resource, address, context.limits, public_only=False)
    if requested.is_paged or requested.expand or requested.depth:
        refuse([Violation("query", "may have only filters, sort and fields", query)])
    return requested
