"""`python -m auth_service`, for where the `auth-service` command is not on the path."""

from auth_service.cli import main

main()
