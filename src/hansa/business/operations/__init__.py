"""What can be done with entities: read, list, create, change, delete, carry out a task. No HTTP in here."""
