"""What is outside of the members: time, network, ledger and disks."""
