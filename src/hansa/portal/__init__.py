"""The web pages of a marketplace. For now one: who this is, what it holds, and where its interfaces are."""

from hansa.portal.front_page import FrontPage, front_page, page_headers

__all__ = ["FrontPage", "front_page", "page_headers"]
