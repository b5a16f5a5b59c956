"""Import and export jobs (TMF630 Part 4): entities that the marketplace performs in the background.

`operation` bounds their number and handles their contents, which `files` stores; `scope` reads from a job
which resources it is about; `runner` performs jobs, the records of an import with `importing`.
"""
