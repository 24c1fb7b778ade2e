"""The fixtures of the plugin, which the suite does not load by itself."""

from auth_service.testing import auth_double, auth_double_process

__all__ = ["auth_double", "auth_double_process"]
