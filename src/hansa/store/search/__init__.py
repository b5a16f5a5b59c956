"""Full-text search: what an index is, whatever engine it has.

`records` are documents, questions and answers. `interface` is the index. `plain` searches documents in
memory: the changes that an index does not have yet. `ranking` and `counting` are what every engine does
alike: the order of the best hits, and the numbers of facets. `spelling` compares words that are nearly alike.
"""
