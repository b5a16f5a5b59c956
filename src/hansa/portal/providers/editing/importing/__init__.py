"""Import of a file: JSON Lines, or CSV whose columns are mapped to the fields of a form.

reading    a file becomes rows, within bounds
uploads    a file arrives by a form
page_jobs  what takes longer than a request should
planning   what each row comes to: a dry run, and the writes
pages      the pages; a file that was checked waits for one confirmation
"""
