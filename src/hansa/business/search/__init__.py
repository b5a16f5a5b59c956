"""Full-text search over the catalogue: query language, documents, ranking, facets, suggestions.

Two parts. `indexing` follows the feed and makes a document of each entity of a catalogue type, with what it
refers to folded in; the store's index (`hansa.store.search`) holds them. `search` answers: it reads a request
(`request`), has the index and the changes that are not in it yet searched, and returns `results`, which JSON
over HTTP and the pages show alike.
"""
