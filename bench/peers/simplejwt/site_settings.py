"""Django with djangorestframework-simplejwt and its blacklist, as their documentation sets them up.

Argon2id has the parameters of the comparison. `python -m django migrate` makes the tables; gunicorn serves `site_urls`.
"""

import os
from urllib.parse import urlsplit

_database = urlsplit(os.environ["DATABASE_URL"])

SECRET_KEY = os.environ["SECRET"]
ALLOWED_HOSTS = ["127.0.0.1", "bench"]
ROOT_URLCONF = "site_urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database.path.lstrip("/"),
        "USER": _database.username,
        "HOST": _database.hostname,
        "PORT": _database.port,
        "OPTIONS": {
            "pool": {
                "min_size": 1,
                "max_size": int(os.environ["POOL_SIZE"]) + int(os.environ["POOL_OVERFLOW"]),
            }
        },
    }
}
PASSWORD_HASHERS = ["site_urls.Argon2"]
USE_TZ = True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
SIMPLE_JWT = {"ROTATE_REFRESH_TOKENS": True, "BLACKLIST_AFTER_ROTATION": True}
