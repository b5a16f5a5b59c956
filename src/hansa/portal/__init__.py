"""The web pages of a marketplace: who it is and what it holds, and its APIs to read and to try.

routes       which page is at which path
frame/       what all pages share: templates, languages, themes, security policy
about        the page about this marketplace and its league
errors       pages that say what went wrong
notices      pages that say something else in a few sentences, and ask for a confirmation
catalogue/   the pages of the catalogue
docs/        the pages below `/docs`
operators/   the pages for whoever operates the marketplace
templates/   of the pages, for Jinja
static/      style, script and pictures
locale/      translations
"""

from hansa.portal.about import Overview
from hansa.portal.errors import error_page
from hansa.portal.frame import Branding, Frame
from hansa.portal.notices import NoticeButton, NoticePage, notice_page
from hansa.portal.routes import PortalRoutes

__all__ = [
    "Branding",
    "Frame",
    "NoticeButton",
    "NoticePage",
    "Overview",
    "PortalRoutes",
    "error_page",
    "notice_page",
]
