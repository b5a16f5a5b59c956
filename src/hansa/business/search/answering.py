"""Answers searches on behalf of callers.

What a caller may find is what it may read (`hansa.business.rights`). Strangers find what is public, and
whoever may read everything finds that. Who acts for an organisation also finds what concerns it, among
private entities by their parties. Where only a policy knows, entity by entity, the best hits are looked at,
and nothing else is counted. Whatever the index says, each hit is read from the store, and left out when the
caller may not read it.

Where a query finds nothing, its words that no document has are replaced by similar ones, and that is
answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from hansa.business.context import Context
from hansa.business.query.requests import list_request
from hansa.business.representation import Representation, collection_address
from hansa.business.rights.bound import BoundRule
from hansa.business.rights.reading import EntityReader
from hansa.business.rights.targets import access_target
from hansa.business.search.documents import PARTY, decoded, kind_of
from hansa.business.search.folding import name_of
from hansa.business.search.highlighting import Highlighter
from hansa.business.search.hits import hit_of, matched_entity
from hansa.business.search.indexing import UnindexedChanges
from hansa.business.search.query_text import ParsedText, parse, with_others, with_word
from hansa.business.search.request import FACETS, SUGGESTIONS_MAX
from hansa.business.search.results import (
    Facet,
    FacetName,
    FacetValue,
    Hit,
    SearchPage,
    SearchRequest,
    Suggestion,
    Suggestions,
)
from hansa.business.visibility import PublicParts
from hansa.core.access import Action, Caller
from hansa.core.errors import Code, Refused
from hansa.core.thread_work import CHEAP
from hansa.store import Condition, Entity, ListCaller, Query
from hansa.store.evaluation import matches
from hansa.store.search.counting import most_frequent
from hansa.store.search.interface import SearchIndex
from hansa.store.search.records import ABOVE, FacetOf, IndexAnswer, IndexQuery, Overlay

OFFERING: Final = "ProductOffering"
NAMED_FACETS: Final = ("category", "provider")
FILTERED_MAX: Final = 1000
"""So many of the best hits are looked at for conditions on attributes."""
LOOKED_AT_ONCE: Final = 100
VALUES_SHOWN_MAX: Final = 30
"""Of a facet; of categories all, as far as the index names them."""
CATEGORIES_SHOWN_MAX: Final = 100
ALTERNATIVES_MAX: Final = 3
"""So many similar words take the place of one that no document has."""
FEW_HITS: Final = 3
"""With so many or fewer, another spelling is offered."""
MORE_FREQUENT: Final = 10
"""So many times as many documents must have the other spelling."""

_OFFERINGS_ALONE: Final = (("type", (OFFERING,)),)

Left = Callable[[], Awaitable[object]]


class _Asker(NamedTuple):
    """On whose behalf a search is answered, and what it may find."""

    reader: EntityReader
    """Has the last word, about each hit."""
    with_private: bool
    """Whether private entities are searched."""
    private_having: tuple[FacetOf, ...] | None
    """Of them, those that have one of these; None: all."""
    is_checked: bool
    """Whether only the reader knows what may be found, so that nothing else is counted either."""
    list_caller: ListCaller

    @property
    def knows_private_words(self) -> bool:
        """Whether words of all private entities may be offered."""
        return self.with_private and self.private_having is None and not self.is_checked


class _Answered(NamedTuple):
    text: str
    parsed: ParsedText
    answer: IndexAnswer


class Search:
    """Searches the catalogue.

    Args:
        context: The parts of the marketplace.
        index: What is searched.
        unindexed: What it does not have yet.
        origin_name: The name of a member by its DID, None where it is not known; for the facet of origins.
    """

    def __init__(
        self,
        context: Context,
        index: SearchIndex,
        unindexed: UnindexedChanges,
        origin_name: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._context = context
        self._store = context.store
        self._index = index
        self._unindexed = unindexed
        self._origin_name = origin_name
        self._organizations = context.aliases
        self._parts = PublicParts(context.models)
        api, self._resource = context.models.served(OFFERING)
        self._api = context.extensions.extended(api)

    async def page(self, caller: Caller, request: SearchRequest, left: Left | None = None) -> SearchPage:
        """A page of hits.

        Args:
            caller: Who asks.
            request: What is searched.
            left: Waits until the caller has left, and raises what is to end the search then.

        Raises:
            Refused: `Code.INVALID`, for too many words, or a condition that cannot be read.
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """
        asker = await self._asker(caller, left)
        overlay = await self._unindexed.overlay()
        is_looked_at = bool(request.filters) or asker.is_checked
        among = await self._filtered(request, asker, overlay) if is_looked_at else None
        query = self._query(request, asker, among[0] if among else None)
        parsed = parse(request.text, is_typing=request.is_typing)
        first = await self._answered(request.text, parsed, query, overlay, asker)
        full, other = await self._corrected(first, query, overlay, asker)
        answered = await self._some_words(full, query, overlay, asker)
        if answered.answer.total == 0:
            answered, full, other = first, first, None
        hits = await self._hits(answered, asker)
        is_cut = among is not None and among[1]
        return SearchPage(
            request.text,
            hits,
            request.offset,
            request.limit,
            answered.answer.total,
            is_cut,
            self._facets(request, answered.answer),
            request.sort,
            answered.text,
            other,
            answered is full,
            self._unindexed.unsearched,
        )

    async def suggestions(self, caller: Caller, text: str, left: Left | None = None) -> Suggestions:
        """How a text that is being typed may go on.

        Raises:
            Refused: `Code.INVALID`, for too many words.
            Unavailable: `Code.SEARCH_TOO_SLOW` or `Code.OVERLOADED`.
        """
        asker = await self._asker(caller, left)
        parsed = parse(text, is_typing=True)
        if not parsed.required:
            return Suggestions(text, ())
        query = IndexQuery(
            parsed.required,
            parsed.excluded,
            selections=(("type", (OFFERING,)),),
            limit=SUGGESTIONS_MAX,
            with_private=asker.with_private,
            private_having=asker.private_having,
        )
        answer = await self._index.answer(query, await self._unindexed.overlay(), asker.list_caller)
        offerings = await self._suggested_offerings(answer.ids, asker)
        words = await self._suggested_words(text, parsed, asker)
        half = SUGGESTIONS_MAX // 2
        chosen = [*words[: max(half, SUGGESTIONS_MAX - len(offerings))], *offerings]
        return Suggestions(text, tuple(chosen[:SUGGESTIONS_MAX]))

    # -- who may find what ---------------------------------------------------------------------------------

    async def _asker(self, caller: Caller, left: Left | None) -> _Asker:
        target = access_target(*self._context.models.served(OFFERING))
        decision = self._context.authorize(caller, Action.READ, target)
        aliases = await self._organizations.of(caller.organization)
        reader = EntityReader(caller, aliases, self._context, self._parts)
        list_caller = ListCaller(is_stranger=not caller.is_authenticated, left=left)
        if decision.rule is None:
            with_private = decision.is_allowed and not decision.public_only
            return _Asker(reader, with_private, None, False, list_caller)
        reach = BoundRule(decision.rule, target, aliases).reach()
        if reach.holds is not None:
            return _Asker(reader, not reach.public_only, None, True, list_caller)
        having = tuple((PARTY, each) for each in dict.fromkeys((*reach.parties, *reach.names)))
        return _Asker(reader, bool(having) and not reach.public_only, having, False, list_caller)

    def _query(self, request: SearchRequest, asker: _Asker, among: tuple[str, ...] | None) -> IndexQuery:
        """The question without its words."""
        return IndexQuery(
            selections=tuple((one.facet, one.values) for one in request.selections),
            price_from=request.price_from,
            price_to=request.price_to,
            order=request.sort,
            offset=request.offset,
            limit=request.limit,
            with_private=asker.with_private,
            private_having=asker.private_having,
            named_facets=NAMED_FACETS,
            among=among,
            kind=kind_of(OFFERING) if request.only_offerings else None,
        )

    async def _filtered(
        self, request: SearchRequest, asker: _Asker, overlay: Overlay
    ) -> tuple[tuple[str, ...], bool]:
        """The best hits that meet the conditions on attributes; and whether there are others."""
        conditions = self._conditions(request, asker) if request.filters else ()
        parsed = parse(request.text, is_typing=request.is_typing)
        query = IndexQuery(
            parsed.required,
            parsed.excluded,
            selections=(("type", (OFFERING,)),) if request.filters else (),
            price_from=request.price_from,
            price_to=request.price_to,
            limit=FILTERED_MAX,
            with_private=asker.with_private,
            private_having=asker.private_having,
        )
        answer = await self._index.answer(query, overlay, asker.list_caller)
        chosen: list[str] = []
        for start in range(0, len(answer.ids), LOOKED_AT_ONCE):
            entities = await self._shown(answer.ids[start : start + LOOKED_AT_ONCE], asker)
            chosen += await self._context.large_work.run(
                sum(len(one.body) for one in entities) // CHEAP,
                partial(_meeting, entities, conditions),
                is_stranger=asker.list_caller.is_stranger,
            )
        return tuple(chosen), answer.total > len(answer.ids)

    def _conditions(self, request: SearchRequest, asker: _Asker) -> tuple[Condition, ...]:
        address = collection_address(self._context.endpoint, self._api, self._resource, None)
        listed = list_request(
            request.filters.encode("latin-1"),
            self._api,
            self._resource,
            address,
            self._context.limits,
            public_only=not asker.with_private,
        )
        if listed.fields is not None or listed.expand or listed.depth or listed.query.sort:
            raise Refused(Code.INVALID, "A search has neither fields, expand nor depth.")
        query: Query = listed.query if asker.with_private else self._parts.confined(listed.query)
        return query.filters

    async def _shown(self, ids: Sequence[str], asker: _Asker) -> list[Entity]:
        """Those of some entities that there are and the caller may read, as far as it may, in their order."""
        entities = await self._store.entities(ids)
        bodies = ((entities[each], asker.reader.shown(entities[each])) for each in ids if each in entities)
        return [
            one if one.body is body else msgspec.structs.replace(one, body=body)
            for one, body in bodies
            if body is not None
        ]

    # -- words ---------------------------------------------------------------------------------------------

    async def _answered(
        self, text: str, parsed: ParsedText, query: IndexQuery, overlay: Overlay, asker: _Asker
    ) -> _Answered:
        query = msgspec.structs.replace(query, required=parsed.required, excluded=parsed.excluded)
        if query.selections == _OFFERINGS_ALONE and not query.required:
            return _Answered(text, parsed, await self._all_offerings(query, overlay, asker))
        return _Answered(text, parsed, await self._index.answer(query, overlay, asker.list_caller))

    async def _all_offerings(self, query: IndexQuery, overlay: Overlay, asker: _Asker) -> IndexAnswer:
        """All offerings, without words: the same as selecting that type, without a look at each of them."""
        every = msgspec.structs.replace(query, selections=(), offset=0, limit=1)
        counts = (await self._index.answer(every, overlay, asker.list_caller)).counts
        only = msgspec.structs.replace(query, selections=(), kind=kind_of(OFFERING))
        answer = await self._index.answer(only, overlay, asker.list_caller)
        return msgspec.structs.replace(answer, counts={**answer.counts, "type": counts.get("type", {})})

    async def _corrected(
        self, first: _Answered, query: IndexQuery, overlay: Overlay, asker: _Asker
    ) -> tuple[_Answered, str | None]:
        """What is answered, and the text in another spelling, if that finds more."""
        words = first.parsed.words
        if first.answer.total > FEW_HITS or not words or asker.is_checked:
            return first, None
        similar = await self._index.similar(
            words, with_private=asker.knows_private_words, caller=asker.list_caller
        )
        known = {word: dict(similar[word]).get(word, 0) for word in words}
        others = {
            word: tuple(other for other, _ in similar[word])[:ALTERNATIVES_MAX]
            for word in words
            if not known[word] and similar[word]
        }
        if not any(known[word] == 0 for word in words):
            # All words are known: only what is far more frequent is another spelling of one.
            others = {
                word: (better[0],)
                for word in words
                if (better := next((each for each in similar[word] if each[0] != word), None)) is not None
                and better[1] > known[word] * MORE_FREQUENT
            }
        if not others:
            return first, None
        text = first.text
        for word, (best, *_) in others.items():
            text = with_word(text, word, best)
        other = await self._answered(text, with_others(first.parsed, others), query, overlay, asker)
        if first.answer.total == 0:
            return other, text
        return first, text if other.answer.total > first.answer.total else None

    async def _some_words(
        self, answered: _Answered, query: IndexQuery, overlay: Overlay, asker: _Asker
    ) -> _Answered:
        """What has some of the words, where nothing has all of them."""
        parsed = answered.parsed
        if answered.answer.total or len(parsed.required) < 2:
            return answered
        any_of = tuple(term for group in parsed.required for term in group)
        relaxed = parsed._replace(required=(any_of,))
        return await self._answered(answered.text, relaxed, query, overlay, asker)

    async def _suggested_offerings(self, ids: Sequence[str], asker: _Asker) -> list[Suggestion]:
        """Offerings, each name once."""
        by_name: dict[str, Suggestion] = {}
        for entity in await self._shown(ids, asker):
            name = name_of(decoded(entity.body))
            by_name.setdefault(name, Suggestion(name, "offering", entity.id, self._href(entity)))
        return list(by_name.values())

    async def _suggested_words(self, text: str, parsed: ParsedText, asker: _Asker) -> list[Suggestion]:
        """The text with its last word completed."""
        last = parsed.required[-1][0]
        if not last.is_prefix or len(last.words) != 1 or asker.is_checked:
            return []
        typed = last.words[0]
        words = await self._index.beginning(
            typed, SUGGESTIONS_MAX, with_private=asker.knows_private_words, caller=asker.list_caller
        )
        return [Suggestion(with_word(text, typed, word), "word") for word, _ in words if word != typed]

    # -- what is shown -------------------------------------------------------------------------------------

    async def _hits(self, answered: _Answered, asker: _Asker) -> tuple[Hit, ...]:
        entities = await self._shown(answered.answer.ids, asker)
        highlighter = Highlighter(term for group in answered.parsed.required for term in group)
        matched = await self._context.large_work.run(
            sum(len(one.body) for one in entities) // CHEAP,
            lambda: [matched_entity(decoded(one.body)) for one in entities],
            is_stranger=asker.list_caller.is_stranger,
        )
        referred = dict.fromkeys(chain.from_iterable(one.referred for one in matched))
        named = await self._unindexed.maker.folded_of(referred)
        return tuple(
            hit_of(entity, one, self._href(entity), named, highlighter)
            for entity, one in zip(entities, matched, strict=True)
        )

    def _href(self, entity: Entity) -> str:
        api, resource = self._context.models.served(entity.type)
        address = collection_address(self._context.endpoint, api, resource, entity.parent)
        return Representation(address).address(entity.id)

    def _facets(self, request: SearchRequest, answer: IndexAnswer) -> tuple[Facet, ...]:
        selected = {one.facet: one.values for one in request.selections}
        facets = (self._facet(name, answer, selected.get(name, ())) for name in FACETS)
        return tuple(facet for facet in facets if facet.values)

    def _facet(self, name: FacetName, answer: IndexAnswer, selected: Sequence[str]) -> Facet:
        counts = answer.counts.get(name, {})
        limit = CATEGORIES_SHOWN_MAX if name == "category" else VALUES_SHOWN_MAX
        chosen = dict(most_frequent(counts, limit))
        chosen.update((value, counts.get(value, 0)) for value in selected)
        return Facet(
            name,
            tuple(
                FacetValue(
                    value,
                    self._label(name, value, answer),
                    count,
                    value in selected,
                    answer.labels.get((ABOVE, value)) if name == "category" else None,
                )
                for value, count in chosen.items()
            ),
            answer.is_sampled,
            len(counts) > limit,
        )

    def _label(self, name: FacetName, value: str, answer: IndexAnswer) -> str:
        if name == "origin":
            return self._origin_name(value) or value
        return answer.labels.get((name, value), value)


def _meeting(entities: Sequence[Entity], conditions: tuple[Condition, ...]) -> list[str]:
    """Identifiers of those that meet the conditions."""
    return [one.id for one in entities if not conditions or matches(decoded(one.body), conditions)]
