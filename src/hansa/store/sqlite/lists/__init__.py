"""How a list is answered: exactly, from an index where there is one, and without holding up anybody else.

`Lists.answer` takes a query through five steps, each a module:

1. `analysis` takes the conditions and the order of a query apart. A condition that an index serves is an
   *index scan*: one or several postings, whose entities come in the order of their numbers. Every other one
   is a *check*, SQL on one entity (`conditions`). All pages of a list have one analysis, which is cached.
2. `counting` says how many entities each index scan has: exactly, from memory, or counted once in the index.
3. `planner` chooses the way by the analysis and these numbers alone.
4. `statements` writes the SQL of that way. It yields numbers of entities.
5. `row_cache` has what lists show of these entities; what is missing is read by number.

The ways, when each is chosen, and what a page costs beside its own rows:

- *named*: conditions name identifiers. A look-up for each of them.
- *stream*: the order is that of numbers, and at most one index scan has all conditions. Nothing, whatever the
  size of the catalogue: the total is known, and where the page begins is remembered.
- *walk*: the order is that of an indexed column, and most of its entities match. The entities before the
  page.
- *intersection*: several index scans, or one of several postings that share entities, or one with a sort key
  that has an index, and nothing else to check. Sets of numbers in memory are joined (`intersecting`):
  microseconds, beside writers too. In the order of a column (`ordering`): what is passed over in its index,
  or the values of all matches where these are few; a millisecond or two at most.
- *search*: the index scan with the fewest entities has few. All of these, on the event loop.
- *pool search*: everything else. All entities of that index scan, or of the collection, in a thread.

A pool search has `limits.search_timeout_s`; one that takes longer is refused with the advice to add an index.
It yields one row, the total and the numbers of the page: a thread that takes the interpreter's lock once per
row would wait for the event loop once per row. `search_pool` bounds how many run and wait.

Memory: analyses, pages (where pages of a list begin, and the results of pool searches) and rows, each a cache
with a bound (`docs/caches.md`). An entity that is written leaves the rows; pages are valid for one state of
their collection.

Order: the requested keys, then the order in which entities were first written here, which is also the order
when none is requested. Where the last key descends, so does that. Absent attributes and null come before
numbers (`false` is 0, `true` is 1), those before strings; strings compare by code point, date-times as
moments. A path that reaches several values sorts by the first.
"""
