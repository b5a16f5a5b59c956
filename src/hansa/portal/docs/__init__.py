"""The pages that describe the APIs."""
