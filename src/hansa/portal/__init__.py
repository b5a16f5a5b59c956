"""The web pages of a marketplace: who this is and what it offers, and its APIs to read and to try.

`routes` lists the pages; `page` is the frame that all of them share, with its content security policy;
`front_page` shows the marketplace; `docs` describes the APIs.
"""

from hansa.portal.docs.pages import ApiEntry, ErrorCode, api_page, docs_headers, errors_page, index_page
from hansa.portal.front_page import FrontPage, front_page
from hansa.portal.page import page_headers

__all__ = [
    "ApiEntry",
    "ErrorCode",
    "FrontPage",
    "api_page",
    "docs_headers",
    "errors_page",
    "front_page",
    "index_page",
    "page_headers",
]
