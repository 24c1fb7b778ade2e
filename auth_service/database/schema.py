"""The versions of the schema that this code knows: the migrations, oldest first. It works on the newest of them.

A process that serves compares them with the database's, and needs nothing of Alembic for that.
"""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007")
HEAD = REVISIONS[-1]
