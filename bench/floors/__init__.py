"""What the machine allows: the same work with nothing around it."""

HASHING, PGBENCH = "hashing threads", "pgbench"
