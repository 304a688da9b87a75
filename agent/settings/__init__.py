"""The agent's settings: environment over file over defaults; see config/agent.example.yaml for each."""

from agent.settings.load import load_settings, other_database_url
from agent.settings.models import (
    ENV_PREFIX,
    BackupSettings,
    DeploySettings,
    HttpSettings,
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
    "BackupSettings",
    "DeploySettings",
    "HttpSettings",
    "LogSettings",
    "NotifyKind",
    "NotifySettings",
    "PlatformSettings",
    "ScheduleKind",
    "ScheduleSettings",
    "Settings",
    "WatchMode",
    "WatchSettings",
    "load_settings",
    "other_database_url",
]
