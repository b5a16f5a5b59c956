"""What `hansa credentials` does: verifies with what a command line trusts, and reports the outcome."""
