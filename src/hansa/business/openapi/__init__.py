"""What this marketplace serves for an API, described in OpenAPI 3.1, made from the same model as the handlers."""

from __future__ import annotations

from hansa.business.openapi.document import Description, openapi_document

__all__ = ["Description", "openapi_document"]
