"""The pages that describe the interfaces, made from their OpenAPI and AsyncAPI documents alone.

They can be read without a script; the script sends the requests of their forms to this marketplace and
shows the responses. What they hold is English, whatever the language of the frame around it.
"""

from hansa.portal.docs.pages import ApiEntry, DocsPage, DocsPages, ErrorEntry

__all__ = ["ApiEntry", "DocsPage", "DocsPages", "ErrorEntry"]
