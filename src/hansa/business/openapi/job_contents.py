"""The paths of the contents of import and export jobs."""

from __future__ import annotations

from typing import Final

from hansa.business.jobs.files import CONTENT, CONTENT_TYPES, EXPORT, is_job
from hansa.business.models import Api
from hansa.business.openapi.operations import OPERATION_TEXTS
from hansa.business.openapi.parts import Part, error_references, path_parameter, response

_FAILURES: Final = (429, 500, 503)


def content_paths(api: Api) -> dict[str, Part]:
    """The paths of the contents of an API's jobs; none when it has no jobs."""
    paths: dict[str, Part] = {}
    records: Part = {media_type: {"schema": {}} for media_type in CONTENT_TYPES}
    for resource in filter(is_job, api.resources):
        if resource.type == EXPORT:
            operation: Part = {
                "operationId": f"readContentOf{resource.type}",
                "summary": "Read what an export job wrote",
                "description": OPERATION_TEXTS["readContent"],
                "responses": {
                    "200": response("One entity a line, or an array of them.", records),
                    **error_references((400, 401, 403, 404, 406, 409, *_FAILURES)),
                },
            }
        else:
            operation = {
                "operationId": f"bringContentOf{resource.type}",
                "summary": "Upload what an import job reads",
                "description": OPERATION_TEXTS["bringContent"],
                "requestBody": {"required": True, "content": records},
                "responses": {
                    "204": response("The job has its content and will run.", None),
                    **error_references((400, 401, 403, 404, 409, 413, 415, *_FAILURES)),
                },
            }
        parameter = path_parameter("id", f"Identifier of the {resource.name}.")
        verb = "get" if resource.type == EXPORT else "put"
        paths[f"/{resource.path}/{{id}}/{CONTENT}"] = {
            "parameters": [parameter],
            verb: {"tags": [resource.name], **operation},
        }
    return paths
