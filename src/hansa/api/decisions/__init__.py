"""What the members have decided and decide: `/league/v1/members` and `/league/v1/proposals`."""
