"""The file of the ledger's state: its tables, the trees in them, and whether they agree with each other.

schema       the tables and their rows
tree_tables  the trees under `app_hash`, read at a start and written with each block
consistency  what is checked before a ledger goes on with a file
"""
