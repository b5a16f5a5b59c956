"""HTTP as a face of the operations: requests, responses, conditional requests."""
