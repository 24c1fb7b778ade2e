"""The version of the schema that this code works on: the newest of the migrations.

A process that serves compares it with the database's, and needs nothing of Alembic for that.
"""

HEAD = "0005"
