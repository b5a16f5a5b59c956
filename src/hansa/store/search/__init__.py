"""Full-text search: what an index is, whatever engine it has.

`records` are documents, questions and answers. `interface` is the index. `plain` searches documents in memory:
the changes that an index does not have yet, and all of an index that is in memory (`memory`). `ranking` and
`counting` are what every engine does alike: the order of the best hits, and the numbers of facets. `spelling`
finds words that are nearly alike.
"""
