"""The pages that describe the APIs, made from their models.

`pages` has a page for each API, `forms` the requests that a reader can try, `schemas` the tables of types.
"""

from hansa.portal.docs.pages import DOCS, ApiEntry, ErrorEntry, api_page, errors_page, index_page

__all__ = ["DOCS", "ApiEntry", "ErrorEntry", "api_page", "errors_page", "index_page"]
