"""Pages for those who offer something: what is theirs, and what becomes of it.

offers    the dashboard, the own catalogue, launching, where something is seen, versions, orders
editing   forms, their drafts, import of files, and who sees what
"""
