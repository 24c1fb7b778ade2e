"""Every setting, in frozen groups, read once from the environment, `.env` and files."""

from auth_service.settings.cpu import X86_64_V3, runs_x86_64_v3
from auth_service.settings.database import DatabaseSettings
from auth_service.settings.groups import (
    DEFAULT_AUDIT_RETENTION,
    MAX_CHANGE_DELAY,
    CleanupSettings,
    LogSettings,
    ProxySettings,
    RevocationSettings,
    ThrottleSettings,
)
from auth_service.settings.groups.mail import MailSettings, address_of
from auth_service.settings.groups.passwords import HashingSettings, PasswordSettings
from auth_service.settings.groups.tokens import MAX_ACCESS_LIFETIME
from auth_service.settings.limits import MachineLimits, read_limits
from auth_service.settings.names import environment_names
from auth_service.settings.postgresql import PostgresqlUrl
from auth_service.settings.postgresql.files import load_certificate
from auth_service.settings.reading import WrongSettingError, examine_settings, read_settings, settings_from
from auth_service.settings.sources import SettingProblem
from auth_service.settings.values import LOOPBACK
from auth_service.settings.whole import Settings
