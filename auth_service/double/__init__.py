"""A test double for authors of clients: the service itself, on SQLite, with switches for faults and for its clock."""
