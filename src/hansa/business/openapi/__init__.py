"""OpenAPI 3.1 documents of what this marketplace serves, made from the models that the operations use."""

from __future__ import annotations

from hansa.business.openapi.document import Description, openapi_document

__all__ = ["Description", "openapi_document"]
