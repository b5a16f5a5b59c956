"""The file of a store: connections, schema, rows, our functions in it, and the view that readers share."""
