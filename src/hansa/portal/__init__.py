"""The web pages of a marketplace: who it is and what it holds, and its APIs to read and to try.

routes       which page is at which path
front_page   the page at `/`
docs/        the pages below `/docs`
page         the frame of every page, and its security policy
html         templates and escaping
templates/   bodies of pages
static/      style and script, which the frame puts into the document
"""

from hansa.portal.front_page import Overview
from hansa.portal.routes import PortalRoutes

__all__ = ["Overview", "PortalRoutes"]
