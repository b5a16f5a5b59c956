"""The bytes of what this marketplace has announced, as those who follow it request them."""
