"""The pages that describe the APIs, made from their models.

`pages` has a page for each API, `streams` one for what is sent, `forms` the requests that a reader can try,
`schemas` the tables of types.
"""

from hansa.portal.docs.pages import DOCS, ApiEntry, ErrorEntry, api_page, errors_page, index_page
from hansa.portal.docs.streams import streams_page

__all__ = ["DOCS", "ApiEntry", "ErrorEntry", "api_page", "errors_page", "index_page", "streams_page"]
