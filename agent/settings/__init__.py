"""The agent's settings: environment over file over defaults; see config/agent.example.yaml for each."""

from agent.settings.live import Live
from agent.settings.load import Loaded, load, load_settings, other_database_url
from agent.settings.models import (
    ENV_PREFIX,
    ApiSettings,
    BackupSettings,
    DeploySettings,
    HttpSettings,
    HttpToken,
    LogSettings,
    NotifyKind,
    NotifySettings,
    PlatformSettings,
    ScheduleKind,
    ScheduleSettings,
    Settings,
    WatchMode,
    WatchSettings,
)

__all__ = [
    "ENV_PREFIX",
    "ApiSettings",
    "BackupSettings",
    "DeploySettings",
    "HttpSettings",
    "HttpToken",
    "Live",
    "Loaded",
    "LogSettings",
    "NotifyKind",
    "NotifySettings",
    "PlatformSettings",
    "ScheduleKind",
    "ScheduleSettings",
    "Settings",
    "WatchMode",
    "WatchSettings",
    "load",
    "load_settings",
    "other_database_url",
]
