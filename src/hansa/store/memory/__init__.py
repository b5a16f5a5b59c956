"""The plain twin of the store: entities in a dictionary, lists by the plain evaluator, nothing durable.

For tests and simulations, and as the measure of other engines (tests/contract/test_store.py): short rather
than fast.
"""
