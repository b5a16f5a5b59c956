"""The search index on SQLite's FTS5, in a file of its own beside the store.

The file is derived from the store: it is in no backup, and one that is damaged, of another release or of
another store is emptied and filled again. It has a writer and readers of its own, in threads, so that a
create waits neither for words nor for pages of this file.

Public and private documents have a table of words each. So what strangers learn, as the order of hits,
numbers or corrected words, depends on nothing private.

`schema` says what is in the file, `writing` writes documents, `expressions` makes a question one of FTS5,
`reading` answers it, and `index` puts them together.
"""
