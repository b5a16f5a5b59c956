"""What all pages share: templates, the reader's language and theme, style, script, security policy.

frame       renders a template of `templates/` for a reader, as a response with its security policy
reader      who reads: language, region, theme; and where a page leads back to
languages   catalogues of translations
formats     numbers, dates and money in the reader's form
assets      files of `static/`, by names that change with their content
people      who is logged in, and pages that not everybody may see
branding    what an operator sets: name, logo, colours, imprint, terms
"""

from hansa.portal.frame.branding import Branding
from hansa.portal.frame.frame import Frame, PagePolicy

__all__ = ["Branding", "Frame", "PagePolicy"]
