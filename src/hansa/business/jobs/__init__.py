"""Import and export jobs (TMF630 Part 4): entities that the marketplace works off in the background."""
