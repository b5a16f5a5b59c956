"""The replicas of this marketplace as its operator sees them: bounds of each origin, states, retries."""
