"""The conditions of distribution: what leaves this marketplace, what it takes in, who may retrieve."""
