"""Every setting, its type, its bounds and its default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from agent.core import patterns
from agent.core.access import Key, Scope, digest
from agent.core.models import Strategy
from agent.core.redaction import MASK, redact
from agent.core.restore_policy import Policy, Restore
from agent.core.states import FINAL, State
from agent.core.units import Seconds
from agent.errors import AgentError, InputError
from agent.settings.database_tls import protected, what_is_missing
from agent.settings.database_url import check_database_url, passwords_in, project_of, same_server, supabase_ref

ENV_PREFIX = "DEPLOY_AGENT_"
Name = Annotated[str, StringConstraints(pattern=patterns.LABEL)]
TOLD_STATES = (State.PREFLIGHT, State.ROLLING_BACK, State.RESTORING, *(each for each in State if each in FINAL))


class Section(BaseModel):
    """Base of the sections: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeploySettings(Section):
    """How migrations are applied.

    `via`: over a connection to the database, or, where the network allows none, over the Management API alone.
    `lock_timeout_s`: how long a statement waits for a lock before its file is rolled back and tried again;
    `lock_attempts`: how often in all. `statement_timeout_s`: 0 means none. `schemas`: what snapshot and backup cover;
    empty means every schema of the application. `cancel_grace_s`: how long `serve`, when it is stopped, waits for a
    deploy to bring the database back before it leaves that to the next agent. `restore`: may a restore from the backup
    act by itself (`auto`), must it ask (`approve`), or is it left to people (`hold`); `auto` also asks where more than
    `max_rows_lost` rows would be lost, or that is not known, or where it is estimated to take longer than
    `max_downtime`. None: no limit. The runbook's `on_failure` may be stricter. `platform_restore`: the same for the
    restore of the whole project by the platform (it needs a token, see `platform`), which is never done unless it is
    set; `platform_restore_deadline`: how long such a restore may take before people are called.
    """

    strategy: Strategy = Strategy.AUTO
    via: Literal["database", "api"] = "database"
    lock_timeout_s: Seconds = Field(default=4.0, gt=0)
    lock_attempts: int = Field(default=6, ge=1, le=1000)
    statement_timeout_s: Seconds = 0.0
    schemas: tuple[str, ...] = ()
    cancel_grace_s: Seconds = 300.0
    restore: Restore = "auto"
    platform_restore: Restore = "hold"
    platform_restore_deadline: Seconds = Field(default=2400.0, gt=0)
    targeted_restore: bool = True
    max_rows_lost: int | None = Field(default=None, ge=0)
    max_downtime: Seconds | None = None

    @property
    def policy(self) -> Policy:
        """How far a restore may go by itself."""
        return Policy(
            restore=self.restore,
            platform_restore=self.platform_restore,
            max_rows_lost=self.max_rows_lost,
            max_downtime=self.max_downtime,
        )


class BackupSettings(Section):
    """Where backups go and how long they stay.

    `target`: a folder, `file:///…`, `s3://bucket/prefix`, `gs://…`, `az://…`, or `supabase://ref/bucket/prefix`: a
    private bucket in the Storage of another project; empty: `backups` in the state folder. `storage_key`: a secret key
    of that project; `storage_url`: where its API is, if not at Supabase.
    `jobs`: parallel connections of pg_dump. `keep_last` backups stay in any case, others until they are `keep_days`
    old; the last verified one always stays. `age_recipients`: encrypt for these keys; `age_identity`: the key that
    reads them again. `include_data_of`: rows of these Supabase schemas too. `min_bytes`: a smaller backup is refused.
    `work_dir`: where files lie on their way to or from a bucket or encryption; None: the system's temporary folder.
    `restore_lock_timeout_s`: how long a restore waits for the locks on what it replaces; `restore_lock_attempts`: how
    often in all. `restore_ahead_bytes`: a table whose rows take at least so many bytes in the backup is loaded ahead of
    a full restore, `jobs` at a time, while the application still works; one of at least so many bytes is written anew
    by a targeted restore.
    """

    target: str = ""
    storage_key: SecretStr | None = None
    storage_url: str = ""
    jobs: int = Field(default=2, ge=1, le=64)
    keep_last: int = Field(default=7, ge=1)
    keep_days: int = Field(default=30, ge=0)
    age_recipients: tuple[str, ...] = ()
    age_identity: SecretStr | None = None
    include_data_of: tuple[Literal["auth", "storage"], ...] = ()
    min_bytes: int = Field(default=1000, ge=0)
    work_dir: Path | None = None
    restore_lock_timeout_s: Seconds = Field(default=10.0, gt=0)
    restore_lock_attempts: int = Field(default=3, ge=1, le=1000)
    restore_ahead_bytes: int = Field(default=1 << 20, ge=0)

    @field_validator("target")
    @classmethod
    def _target(cls, target: str) -> str:
        scheme, separator, rest = target.partition("://")
        if separator and (scheme not in ("file", "s3", "gs", "az", "supabase") or not rest):
            raise ValueError(
                "write a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix"
                " or supabase://ref/bucket/prefix"
            )
        if scheme == "supabase" and not re.fullmatch(r"[a-z0-9-]+/[\w.-]+(/[\w./-]*)?", rest):
            raise ValueError("write supabase://, the ref of another project, a bucket, and perhaps a prefix")
        return target

    @field_validator("storage_url")
    @classmethod
    def _storage_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in url):
            raise ValueError("write https:// and a host, such as https://abcdefghijklmnopqrst.supabase.co")
        return url.rstrip("/")

    @field_validator("storage_key")
    @classmethod
    def _storage_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not re.fullmatch(r"[!-~]{8,}", key.get_secret_value()):
            raise ValueError("a key is one word of printable characters, such as sb_secret_…")
        return key

    @property
    def storage_ref(self) -> str:
        """The ref of the project whose Storage is the target, or ""."""
        scheme, _, rest = self.target.partition("://")
        return rest.partition("/")[0] if scheme == "supabase" else ""


class NotifyKind(StrEnum):
    """What the receiver understands. `standard`: JSON signed per standardwebhooks.com."""

    SLACK = "slack"
    DISCORD = "discord"
    TEAMS = "teams"
    MATTERMOST = "mattermost"
    GOOGLE_CHAT = "google_chat"
    STANDARD = "standard"


class NotifySettings(Section):
    """One receiver of messages. `events`: the deploy states it hears of; `secret`: signs the messages (`standard`)."""

    name: Name
    kind: NotifyKind
    url: SecretStr
    secret: SecretStr | None = None
    events: tuple[State, ...] = TOLD_STATES

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not re.match(r"https?://[^/\s]+", self.url.get_secret_value()):
            raise ValueError("url must be an http or https address")
        if self.kind is NotifyKind.STANDARD and self.secret is None:
            raise ValueError("kind standard signs its messages: set secret (whsec_…)")
        return self


class HttpToken(Section):
    """One of several who may call the HTTP API.

    `name`: what a deploy that it asks for says of who asked; `hash`: `sha256:` and the token's SHA-256 in hex, as
    `deploy-agent token new` prints it; `scope`: `read` may look, `operate` may also ask for deploys and backups,
    approve and cancel.
    """

    name: Name
    hash: SecretStr
    scope: Scope = Scope.READ

    @field_validator("hash")
    @classmethod
    def _is_hash(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", value.get_secret_value()):
            raise ValueError("write sha256: and 64 hexadecimal digits, as `deploy-agent token new` prints them")
        return value


class HttpSettings(Section):
    """The HTTP server of `serve`. Without `token` and `tokens`, requests that change something are refused.

    `token`: one token, as it is, that may do everything; `tokens`: several, hashed.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    token: SecretStr | None = None
    tokens: tuple[HttpToken, ...] = ()

    @property
    def open_to_all(self) -> bool:
        """No token at all is known."""
        return self.token is None and not self.tokens

    @property
    def keys(self) -> tuple[Key, ...]:
        """Who may call, and how each is known."""
        found = [
            Key(name=one.name, scope=one.scope, digest=bytes.fromhex(one.hash.get_secret_value()[7:]))
            for one in self.tokens
        ]
        if self.token is not None:
            found.insert(0, Key(name="", scope=Scope.OPERATE, digest=digest(self.token.get_secret_value().encode())))
        return tuple(found)

    @field_validator("tokens")
    @classmethod
    def _distinct(cls, entries: tuple[HttpToken, ...]) -> tuple[HttpToken, ...]:
        names = [entry.name for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]} is used twice")
        return entries

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 16:
            raise ValueError("a token has at least 16 characters; make one with `deploy-agent token new`")
        return token


class WatchMode(StrEnum):
    """What `serve` does when migrations are pending."""

    OFF = "off"
    PLAN = "plan"
    DEPLOY = "deploy"


class WatchSettings(Section):
    """Whether `serve` watches the migrations folder, and how often it looks."""

    mode: WatchMode = WatchMode.OFF
    every_s: Seconds = Field(default=30.0, ge=1)


class ScheduleKind(StrEnum):
    """What a schedule does."""

    BACKUP = "backup"
    VERIFY = "verify"
    PRUNE = "prune"
    HEALTH = "health"


class ScheduleSettings(Section):
    """Something `serve` does by the clock. `cron`: five fields, in the time zone `time_zone` (an IANA name)."""

    name: Name
    kind: ScheduleKind
    cron: str
    time_zone: str = "UTC"

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, cron: str) -> str:
        if not re.fullmatch(r"@[a-z]+|([\w*/,?#-]+\s+){4}[\w*/,?#-]+", cron.strip()):
            raise ValueError(
                "a cron expression has five fields (minute, hour, day, month, day of the week), or is @daily"
            )
        return " ".join(cron.split())

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError("it is not an IANA time zone such as Europe/Berlin") from None
        return name


class PlatformSettings(Section):
    """Supabase's Management API, asked where there is a `token`: `sbp_…`, scoped, or an OAuth app's.

    `ref`: the project's; "": as `database_url` has it. `base_url`: where the API is. `ca_file`: certificates in PEM
    form that are trusted instead of the public ones. `proxy`: an http proxy's URL. `timeout_s`: for one answer;
    `deadline_s`: for all attempts of a question. `required`: what preflight could not ask stops the deploy.
    `login_role`: connect with a temporary role that the platform gives, instead of a password.
    """

    token: SecretStr | None = None
    ref: str = ""
    base_url: str = "https://api.supabase.com"
    ca_file: Path | None = None
    proxy: SecretStr | None = None
    timeout_s: Seconds = Field(default=10.0, ge=1, le=300)
    deadline_s: Seconds = Field(default=30.0, ge=1, le=600)
    required: bool = False
    login_role: bool = False

    @field_validator("token")
    @classmethod
    def _token(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[!-~]{8,}", token.get_secret_value()):
            raise ValueError("a token is one word of printable characters, such as sbp_…")
        return token

    @field_validator("ref")
    @classmethod
    def _ref(cls, ref: str) -> str:
        if ref and not re.fullmatch(r"[a-z0-9]{20}", ref):
            raise ValueError("a project's ref is 20 lower-case letters, as in its dashboard address")
        return ref

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or "@" in url:
            raise ValueError("write https:// and a host, without user, password, ? and #")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError("it must be https: the token would be readable on its way")
        return url.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _proxy(cls, proxy: SecretStr | None) -> SecretStr | None:
        if proxy is not None and not re.match(r"https?://[^/\s]+", proxy.get_secret_value()):
            raise ValueError("write http://host:port")
        return proxy

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.login_role and self.token is None:
            raise ValueError("login_role needs a token")
        return self


class TelemetrySettings(Section):
    """Traces of deploys over OTLP/HTTP, where there is an `endpoint`; it needs the extra `otel`.

    `headers`: sent with each request, as `name=value,name=value`. `sample_ratio`: the share of deploys that is traced.
    `timeout_s`: for one request; nothing waits for it.
    """

    endpoint: str = ""
    headers: SecretStr | None = None
    service_name: str = Field(default="supabase-deploy-agent", min_length=1)
    sample_ratio: float = Field(default=1.0, ge=0, le=1)
    timeout_s: Seconds = Field(default=10.0, gt=0, le=300)

    @field_validator("endpoint")
    @classmethod
    def _endpoint(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in url):
            raise ValueError("write http:// or https://, a host and a port, without user and ?; secrets go to headers")
        return url

    @field_validator("headers")
    @classmethod
    def _headers(cls, headers: SecretStr | None) -> SecretStr | None:
        if headers is not None and not all(
            re.fullmatch(r"\s*[!#$%&'*+.^_`|~\w-]+\s*=[ -~]*", one) for one in headers.get_secret_value().split(",")
        ):
            raise ValueError("write name=value, several with a comma between them")
        return headers

    @property
    def header_values(self) -> dict[str, str]:
        """The headers by name."""
        pairs = self.headers.get_secret_value().split(",") if self.headers is not None else ()
        return {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in pairs)}

    def secrets(self) -> Iterator[str]:
        """The headers' values, and the token behind a word such as Bearer."""
        for value in self.header_values.values():
            yield value
            yield value.rpartition(" ")[2]


class ApiSettings(Section):
    """The project's own API, for the `api` checks of a runbook.

    `url`: "": `https://<ref>.supabase.co`. `anon_key`: the publishable (or legacy anon) key; `service_key`: the secret
    (or legacy service_role) key, used only by checks `as: service`. A key that is not set is asked of the platform,
    where the token may read it.
    """

    url: str = ""
    anon_key: SecretStr | None = None
    service_key: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in url):
            raise ValueError("write https:// and a host, such as https://abcdefghijklmnopqrst.supabase.co")
        return url.rstrip("/")


class LogSettings(Section):
    """Logs go to stderr. `auto`: console on a terminal, JSON elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Settings(BaseSettings):
    """All settings of one agent. Build it with `load_settings`, which also explains what is wrong.

    Values come from the environment (`DEPLOY_AGENT_…`, sections with `__`), then from the constructor's arguments
    (the file), then from the defaults. Relative paths are relative to the working directory. `project` defaults to the
    Supabase ref in `database_url`. `store_url` defaults to a SQLite file in `state_dir`.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", env_ignore_empty=True, frozen=True, extra="forbid"
    )

    project: Name = ""
    database_url: SecretStr | None = None
    database_ca_file: Path | None = None
    connect_timeout_s: Seconds = Field(default=10.0, ge=1, le=300)
    migrations: Path = Path("supabase/migrations")
    runbook: Path = Path("supabase/deploy.yaml")
    state_dir: Path = Path(".deploy-agent")
    store_url: SecretStr | None = None
    tools_dir: Path | None = None
    deploy: DeploySettings = DeploySettings()
    backup: BackupSettings = BackupSettings()
    notify: tuple[NotifySettings, ...] = ()
    http: HttpSettings = HttpSettings()
    watch: WatchSettings = WatchSettings()
    platform: PlatformSettings = PlatformSettings()
    schedules: tuple[ScheduleSettings, ...] = ()
    api: ApiSettings = ApiSettings()
    log: LogSettings = LogSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment first, then the arguments; no .env file, no folder of secrets (there is `…_FILE`)."""
        del dotenv_settings, file_secret_settings
        if isinstance(env_settings, EnvSettingsSource):  # a secret's `…_FILE` is read by load_settings
            own = {f"{ENV_PREFIX}{name}".lower() for name in settings_cls.model_fields}
            env_settings.env_vars = {
                k: v for k, v in env_settings.env_vars.items() if not k.lower().endswith("_file") or k.lower() in own
            }
        return env_settings, init_settings

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, url: SecretStr | None) -> SecretStr | None:
        return None if url is None else SecretStr(check_database_url(url.get_secret_value()))

    @field_validator("database_ca_file")
    @classmethod
    def _certificates(cls, path: Path | None) -> Path | None:
        if path is None:
            return None
        try:
            readable = "-----BEGIN CERTIFICATE-----" in path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise ValueError(f"it cannot be read ({error.strerror})") from None
        if not readable:
            raise ValueError("it holds no certificate (PEM, -----BEGIN CERTIFICATE-----)")
        return path

    @field_validator("notify", "schedules")
    @classmethod
    def _distinct_names(cls, entries: tuple[Any, ...]) -> tuple[Any, ...]:
        names = [entry.name for entry in entries]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the name {twice[0]} is used twice")
        return entries

    @model_validator(mode="before")
    @classmethod
    def _default_project(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Without a `project`, its name is taken from the database URL; a wrong URL is left to its own validator."""
        url = values.get("database_url")
        text = url.get_secret_value() if isinstance(url, SecretStr) else url
        if not values.get("project"):
            platform = values.get("platform")
            ref = platform.get("ref") if isinstance(platform, dict) else getattr(platform, "ref", "")
            try:
                project = project_of(check_database_url(text)) if isinstance(text, str) else ref or "default"
            except AgentError:  # the validator of database_url raises it again
                project = "default"
            values = {**values, "project": project}
        return values

    @model_validator(mode="after")
    def _one_project(self) -> Self:
        """A restore of another project than the database's would be the worst that can happen."""
        if self.platform.ref and self.supabase_ref and self.platform.ref != self.supabase_ref:
            raise ValueError("platform.ref is another project than the one that database_url leads to")
        if self.platform.token and self.database_url and not self.platform_ref:
            raise ValueError(
                "platform.token is set, and database_url does not say which project it is: set platform.ref"
            )
        if self.deploy.via == "api" and not (self.platform.token and self.platform_ref):
            raise ValueError("deploy.via api needs platform.token and platform.ref")
        return self

    @model_validator(mode="after")
    def _backups_elsewhere(self) -> Self:
        """A backup that lies in the project it is of goes with it."""
        ref, backup = self.backup.storage_ref, self.backup
        if not ref:
            return self
        place, own = urlsplit(backup.storage_url).netloc, urlsplit(self.resolved_api_url).netloc
        if ref == self.platform_ref or (place and place == own):
            raise ValueError(
                f"backup.target is the Storage of the project itself ({ref}), and a backup there goes where the"
                " project goes: take a bucket of another project"
            )
        if not backup.storage_url and not re.fullmatch(r"[a-z0-9]{20}", ref):
            raise ValueError(
                "backup.target names no project: its ref has 20 lower-case letters; or set backup.storage_url"
            )
        if backup.storage_key is None:
            raise ValueError(
                "backup.target is a bucket of Supabase Storage: set backup.storage_key, a secret key of it"
            )
        return self

    def require_database_url(self) -> SecretStr:
        """The database URL, as it was given; to connect with it, see `connection_to`.

        Raises:
            InputError: `settings.missing`: none is set.
        """
        if self.database_url is None:
            raise InputError(
                "database_url is not set",
                code="settings.missing",
                hint=f"Set {ENV_PREFIX}DATABASE_URL or {ENV_PREFIX}DATABASE_URL_FILE, or database_url in the file.",
                where={"field": "database_url"},
            )
        return self.database_url

    def connection_to(self, url: SecretStr) -> SecretStr:
        """A database URL as connections use it: over a network verify-full, unless it says otherwise itself."""
        return SecretStr(protected(url.get_secret_value(), ca_file=self.database_ca_file))

    @property
    def tls_missing(self) -> str:
        """What somebody between the agent and its database could do, or ""; see `database_tls`."""
        return what_is_missing(self.database_url.get_secret_value()) if self.database_url else ""

    @property
    def supabase_ref(self) -> str:
        """The ref of the hosted project, or "" where `database_url` does not tell it."""
        return supabase_ref(self.database_url.get_secret_value()) if self.database_url else ""

    @property
    def platform_ref(self) -> str:
        """The ref of the project that the Management API is asked about, or ""."""
        return self.platform.ref or self.supabase_ref

    @property
    def store_is_on_the_target(self) -> bool:
        """Whether the agent's own store is on the server that is deployed to, and goes back when that does."""
        if self.database_url is None or self.store_url is None:
            return False
        return same_server(self.database_url.get_secret_value(), self.store_url.get_secret_value())

    @property
    def resolved_api_url(self) -> str:
        """Where the project's own API is, or ""."""
        return self.api.url or (f"https://{self.platform_ref}.supabase.co" if self.platform_ref else "")

    @property
    def resolved_store_url(self) -> SecretStr:
        """`store_url`, as connections use it, or the SQLite file in the state folder."""
        if self.store_url is not None and self.store_url.get_secret_value().startswith("postgres"):
            return self.connection_to(self.store_url)
        return self.store_url or SecretStr(f"sqlite:///{(self.state_dir / 'agent.db').absolute()}")

    @property
    def resolved_backup_target(self) -> str:
        """`backup.target`, or the folder `backups` in the state folder."""
        return self.backup.target or (self.state_dir / "backups").absolute().as_uri()

    def secrets(self) -> tuple[str, ...]:
        """Every secret value, for the redactor; passwords in URLs also by themselves."""
        values = [each.get_secret_value() for each in _secret_values(self)]
        parts = [part for value in values for part in passwords_in(value)]
        return tuple(dict.fromkeys([*values, *parts, *self.telemetry.secrets()]))

    def redacted(self) -> dict[str, Any]:
        """The settings as plain values that can be printed: URLs without passwords, other secrets as `***`."""
        shown = self.model_dump(mode="json")
        for field in ("database_url", "store_url"):
            secret: SecretStr | None = getattr(self, field)
            if secret is not None:
                shown[field] = redact(secret.get_secret_value(), passwords_in(secret.get_secret_value()))
        return {key: _mask_stars(value) for key, value in shown.items()}


def _secret_values(value: object) -> list[SecretStr]:
    if isinstance(value, SecretStr):
        return [value]
    if isinstance(value, BaseModel):
        return [secret for name in type(value).model_fields for secret in _secret_values(getattr(value, name))]
    if isinstance(value, tuple):
        return [secret for item in value for secret in _secret_values(item)]
    return []


def _mask_stars(value: Any) -> Any:  # noqa: ANN401 - the dump of a model, walked
    if isinstance(value, dict):
        return {key: _mask_stars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_stars(item) for item in value]
    return MASK if isinstance(value, str) and value and not value.strip("*") and len(value) > 3 else value
