"""OpenAPI 3.1 documents of what this marketplace serves, made from the models that the operations use.

`document` puts them together from the paths of `operations`, `hubs` and `job_contents`, the types of
`schemas`, and the shared `parts`.
"""

from __future__ import annotations

from hansa.business.openapi.document import openapi_document

__all__ = ["openapi_document"]
