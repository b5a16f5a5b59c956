"""What the paths of the search do, for their description: `hansa.api.search`."""

from __future__ import annotations

from typing import Final

from hansa.api.descriptions.document import Answer, Operation
from hansa.api.search import SEARCH_PATH, SUGGESTIONS_PATH
from hansa.business.search.results import SearchPage, Suggestions

_ERRORS: Final = (400, 401, 414, 429, 500, 503)

SEARCH_OPERATIONS: Final[tuple[Operation, ...]] = (
    Operation(
        "search",
        SEARCH_PATH,
        "Search the catalogue",
        "Returns the entities that match, offerings first, with facets and their counts. A word that is mistyped by "
        "a letter is found all the same. Any other parameter is a condition on an attribute of offerings, as the "
        "lists of the product catalogue take it.",
        {200: Answer("A page of hits.", (SearchPage,))},
        _ERRORS,
        parameters=(
            *("q", "searchType", "searchCategory", "provider", "searchOrigin", "price_model", "price"),
            *("searchStatus", "searchCompliance", "searchRegion", "price_from", "price_to", "searchSort"),
            *("offset", "searchLimit", "typing"),
        ),
    ),
    Operation(
        "suggestSearches",
        SUGGESTIONS_PATH,
        "Complete what is being typed",
        "Returns words and offerings that begin as the last word does.",
        {200: Answer("The best ones.", (Suggestions,))},
        _ERRORS,
        parameters=("q",),
    ),
)
