"""The fixtures of the plugin, which the suite does not load by itself: `tests/verifier/test_plugin.py` does."""

from auth_service.testing import auth_double, auth_double_process

__all__ = ["auth_double", "auth_double_process"]
