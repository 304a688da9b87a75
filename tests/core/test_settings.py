"""Settings: environment over file over defaults, and one clear error for everything that is wrong."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, SecretStr
from ruamel.yaml import YAML

from agent.bootstrap import backup_options
from agent.core.access import Caller, Scope, digest, recognise
from agent.core.states import State
from agent.errors import AgentError, InputError, TargetError
from agent.settings import NotifyKind, Settings, WatchMode, load_settings

EXAMPLE = Path(__file__).parents[2] / "config" / "agent.example.yaml"
URL = "postgresql://postgres:s3cret-word@db.abcdefghijklmnopqrst.supabase.co:5432/postgres"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("DEPLOY_AGENT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(text: str, name: str = "deploy-agent.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refused(config: Path | None = None) -> AgentError:
    with pytest.raises(AgentError) as caught:
        load_settings(config)
    return caught.value


def test_defaults_need_nothing():
    settings = load_settings()
    assert settings.project == "default"
    assert settings.database_url is None
    assert settings.migrations == Path("supabase/migrations")
    assert settings.resolved_store_url.get_secret_value() == f"sqlite:///{Path.cwd()}/.deploy-agent/agent.db"
    assert settings.resolved_backup_target == f"file://{Path.cwd()}/.deploy-agent/backups"


def test_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch):
    write("project: from-file\ndeploy:\n  lock_timeout_s: 7s\n  lock_attempts: 3\n")
    monkeypatch.setenv("DEPLOY_AGENT_DEPLOY__LOCK_TIMEOUT_S", "500ms")
    settings = load_settings()
    assert settings.project == "from-file"
    assert settings.deploy.lock_timeout_s == 0.5
    assert settings.deploy.lock_attempts == 3
    assert settings.deploy.statement_timeout_s == 0


def test_what_the_settings_say_reaches_backups():
    write("backup:\n  work_dir: elsewhere\n  restore_lock_timeout_s: 1m\n  restore_lock_attempts: 7\n  jobs: 5\n")
    options = backup_options(load_settings())
    assert (options.work_dir, options.lock_timeout_s, options.lock_attempts) == (Path("elsewhere"), 60, 7)
    assert (options.jobs, options.encrypt, options.keep_last) == (5, False, 7)


def test_the_config_file_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch):
    write("project: elsewhere\n", "other.yaml")
    monkeypatch.setenv("DEPLOY_AGENT_CONFIG", "other.yaml")
    assert load_settings().project == "elsewhere"


def test_a_named_file_must_exist():
    error = refused(Path("nowhere.yaml"))
    assert error.code == "settings.no_file"
    assert "nowhere.yaml" in error.message


def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_name():
    error = refused(write("project: p\ndeploy:\n  lock_timout_s: 4\n"))
    assert isinstance(error, InputError)
    assert error.code == "settings.unknown_key"
    assert error.message == "deploy-agent.yaml line 3: there is no setting deploy.lock_timout_s"
    assert error.hint == "Did you mean lock_timeout_s?"
    assert error.where == {"field": "deploy.lock_timout_s", "file": "deploy-agent.yaml", "line": 3, "column": 3}


def test_an_unknown_key_in_a_list_is_found_too():
    error = refused(write("notify:\n  - name: a\n    kind: slack\n    url: https://x.example/y\n    chanel: z\n"))
    assert error.code == "settings.unknown_key"
    assert error.where["line"] == 5
    assert error.where["field"] == "notify.0.chanel"


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_DATABSE_URL", URL)
    error = refused()
    assert error.code == "settings.unknown_variable"
    assert error.hint == "Did you mean DEPLOY_AGENT_DATABASE_URL?"
    assert "s3cret-word" not in str(error.as_dict())


def test_the_variables_of_a_kubernetes_service_are_not_ours(monkeypatch: pytest.MonkeyPatch):
    for name in ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR"):
        monkeypatch.setenv(f"DEPLOY_AGENT_{name}", "tcp://10.0.0.1:8080")
    assert load_settings().http.port == 8080


def test_a_name_that_does_not_fit_is_told_in_words():
    message = refused(write("project: UPPER\n")).message
    assert "project is not valid: use small letters, digits" in message
    assert "^" not in message


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("deploy: [1, 2\n", "settings.yaml", 2),
        ("a: 1\n\tb: 2\n", "settings.yaml", 2),
        ("- a\n", "settings.yaml", 1),
        ("project: one\nproject: two\n", "settings.yaml", 2),
        ("http:\n  port: 99999\n", "settings.invalid", 2),
        ("watch:\n  mode: sometimes\n", "settings.invalid", 2),
        ("schedules:\n  - name: n\n    kind: backup\n    cron: every night\n", "settings.invalid", 4),
        (
            "schedules:\n  - name: n\n    kind: backup\n    cron: 0 2 * * *\n    time_zone: Mars/Base\n",
            "settings.invalid",
            5,
        ),
        ("backup:\n  target: ftp://x/y\n", "settings.invalid", 2),
        ("backup:\n  keep_last: 0\n", "settings.invalid", 2),
        ("http:\n  token: short\n", "settings.invalid", 2),
        ("notify:\n  - name: a\n    kind: standard\n    url: https://x.example\n", "settings.invalid", 2),
        ("notify:\n  - name: a\n    kind: slack\n    url: not-an-address\n", "settings.invalid", 2),
        ("project: UPPER\n", "settings.invalid", 1),
        ("deploy:\n  lock_timeout_s: soon\n", "settings.invalid", 2),
    ],
)
def test_what_is_wrong_in_the_file_is_shown_with_its_line(text: str, code: str, line: int):
    error = refused(write(text))
    assert error.code == code
    assert error.where["line"] == line
    assert error.where["file"] == "deploy-agent.yaml"
    assert error.exit_code == 3


def test_names_of_targets_are_distinct():
    entry = "  - {name: a, kind: slack, url: 'https://x.example/1'}\n"
    assert "the name a is used twice" in refused(write(f"notify:\n{entry}{entry}")).message


def test_what_is_wrong_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_HTTP__PORT", "many")
    error = refused()
    assert error.code == "settings.invalid"
    assert error.where["variable"] == "DEPLOY_AGENT_HTTP__PORT"


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch):
    target = {"name": "a", "kind": "slack", "url": "https://hooks.slack.com/services/T/B/x"}
    monkeypatch.setenv("DEPLOY_AGENT_NOTIFY", json.dumps([target]))
    assert load_settings().notify[0].kind is NotifyKind.SLACK
    monkeypatch.setenv("DEPLOY_AGENT_NOTIFY", "[{https://hooks.slack.com/services/secretpart")
    error = refused()
    assert error.where == {"variable": "DEPLOY_AGENT_NOTIFY"}
    assert "secretpart" not in str(error.as_dict())


def test_a_secret_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "db").write_text(URL + "\n")
    (tmp_path / "token").write_text("0123456789abcdef\n")
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL_FILE", str(tmp_path / "db"))
    monkeypatch.setenv("DEPLOY_AGENT_HTTP__TOKEN_FILE", str(tmp_path / "token"))
    write("http:\n  port: 9000\nnotify:\n  - name: a\n    kind: slack\n    url_file: hook\n")
    (tmp_path / "hook").write_text("https://hooks.slack.com/services/T/B/x")
    settings = load_settings()
    assert settings.require_database_url().get_secret_value() == URL
    assert settings.http.token == SecretStr("0123456789abcdef")
    assert settings.http.port == 9000
    assert settings.notify[0].url.get_secret_value().endswith("/x")


def test_a_secret_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_STORE_URL_FILE", "/nowhere/secret")
    error = refused()
    assert error.code == "settings.secret_file"
    assert "DEPLOY_AGENT_STORE_URL_FILE" in error.message


def test_an_empty_secret_file(monkeypatch: pytest.MonkeyPatch):
    Path("empty").touch()
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL_FILE", "empty")
    assert refused().code == "settings.secret_file"


def test_a_secret_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL", URL)
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL_FILE", "x")
    assert refused().code == "settings.secret_twice"
    monkeypatch.delenv("DEPLOY_AGENT_DATABASE_URL")
    monkeypatch.delenv("DEPLOY_AGENT_DATABASE_URL_FILE")
    assert refused(write("database_url: x\ndatabase_url_file: y\n")).code == "settings.secret_twice"


def test_env_in_the_file(monkeypatch: pytest.MonkeyPatch):
    path = write("database_url: env(SUPABASE_DB)\n")
    error = refused(path)
    assert error.code == "settings.env_unset"
    assert error.where["field"] == "database_url"
    monkeypatch.setenv("SUPABASE_DB", URL)
    assert load_settings(path).project == "abcdefghijklmnopqrst"


@pytest.mark.parametrize(
    ("url", "project"),
    [
        (URL, "abcdefghijklmnopqrst"),
        (
            "postgresql://postgres.abcdefghijklmnopqrst:x@aws-0-eu.pooler.supabase.com:5432/postgres",
            "abcdefghijklmnopqrst",
        ),
        ("postgres://u@localhost/My%20Shop", "my-shop"),
        ("postgres://u@localhost", "default"),
    ],
)
def test_the_project_is_named_after_the_database(url: str, project: str):
    settings = Settings(database_url=SecretStr(url))
    assert settings.project == project
    assert settings.supabase_ref == (project if "supabase" in url else "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://postgres:s3cret-word@aws-0-eu.pooler.supabase.com:6543/postgres",
        "postgresql://postgres:s3cret-word@localhost:5432/postgres?pgbouncer=true",
        "postgresql:///postgres?host=localhost&port=6543&password=s3cret-word",
    ],
)
def test_the_transaction_pooler_is_refused(monkeypatch: pytest.MonkeyPatch, url: str):
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL", url)
    error = refused()
    assert isinstance(error, TargetError)
    assert error.code == "target.transaction_pooler"
    assert "advisory locks" in error.message
    assert "s3cret-word" not in str(error.as_dict())


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:s3cret-word@h/d", "not a PostgreSQL URL"),
        ("s3cret-word", "not a PostgreSQL URL"),
        ("postgresql+psycopg://u:s3cret-word@h/d", "names a driver"),
        ("postgresql://postgres:[YOUR-PASSWORD]@h/d", "placeholder"),
        ("postgresql://u:s3cret-word#1@h/d", "%23"),
        ("postgresql://u:s3cret-word/1@h:5432/d", "percent-encoded"),
        ("postgresql://u:s3cret-word?1@h/d", "percent-encoded"),
        ("postgresql://u:x@h:54s3cret-word/d", "percent-encoded"),
        ("postgresql:///d", "no host"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, url: str, says: str):
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL", url)
    error = refused()
    assert error.code == "settings.database_url"
    assert says in f"{error.message} {error.hint}"
    assert "s3cret-word" not in str(error.as_dict())


def test_a_missing_database_url_is_asked_for_where_it_is_needed():
    with pytest.raises(InputError, match="database_url is not set") as caught:
        load_settings().require_database_url()
    assert caught.value.code == "settings.missing"


def test_nothing_printed_holds_a_secret(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_URL", "postgresql://postgres:p%40ss-phrase@h:5432/d")
    monkeypatch.setenv("DEPLOY_AGENT_STORE_URL", "postgresql://agent:store-word@h2/d")
    monkeypatch.setenv("DEPLOY_AGENT_HTTP__TOKEN", "token-0123456789abcdef")
    write("notify:\n  - {name: a, kind: standard, url: 'https://x.example/hook-path', secret: whsec_abcdef}\n")
    settings = load_settings()
    shown = settings.redacted()
    assert shown["database_url"] == "postgresql://postgres:***@h:5432/d"
    assert shown["store_url"] == "postgresql://agent:***@h2/d"
    assert shown["notify"][0]["url"] == "***"
    secrets = ("p%40ss-phrase", "p@ss-phrase", "store-word", "token-0123456789abcdef", "hook-path", "whsec_abcdef")
    for text in (json.dumps(shown), repr(settings), str(settings)):
        assert not [secret for secret in secrets if secret in text]
    assert {"p%40ss-phrase", "p@ss-phrase", "store-word", "whsec_abcdef"} <= set(settings.secrets())


def test_the_authorities_of_the_database(monkeypatch: pytest.MonkeyPatch):
    write(f"database_url: {URL}\ndatabase_ca_file: nowhere.crt\n")
    assert "line 2: database_ca_file is not valid: it cannot be read (No such file" in refused().message
    write("no certificate", "ca.crt")
    monkeypatch.setenv("DEPLOY_AGENT_DATABASE_CA_FILE", "ca.crt")
    assert "holds no certificate" in refused().message
    write("-----BEGIN CERTIFICATE-----", "ca.crt")
    assert load_settings().database_ca_file == Path("ca.crt")


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().project = "other"  # type: ignore[misc]


def test_the_example_is_accepted_and_holds_the_defaults():
    settings = load_settings(EXAMPLE)
    assert settings == Settings(project="my-project")
    assert settings.watch.mode is WatchMode.OFF


def test_the_example_names_every_setting():
    """With its commented settings switched on, the example is still valid, and no setting is left out."""
    text = re.sub(r"(?m)^( *)#(?=[a-z_]+:|  )", r"\1", EXAMPLE.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^( *(?:notify|schedules|tokens)): \[\]$", r"\1:", text)
    document = YAML(typ="safe").load(text)
    assert set(named(document)) >= set(every_setting(Settings)), "missing in the example"
    assert (
        tuple(State(each) for each in document["notify"][1]["events"])
        == Settings.model_validate({"notify": [{"name": "a", "kind": "slack", "url": "https://x.example"}]})
        .notify[0]
        .events
    )


def named(node: Any, path: str = "") -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from (f"{path}{key}", f"{path}{str(key).removesuffix('_file')}")
            yield from named(value, f"{path}{key}.")
    elif isinstance(node, list):
        for item in node:
            yield from named(item, path)


def every_setting(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, info in model.model_fields.items():
        yield path + name
        for kind in (info.annotation, *get_args(info.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from every_setting(kind, f"{path}{name}.")


def test_a_folder_of_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    folder = tmp_path / "secrets"
    monkeypatch.setenv("DEPLOY_AGENT_SECRETS_DIR", str(folder))
    assert "cannot be read" in refused().message
    folder.mkdir()
    (folder / "deploy_agent_database_url").write_text(f"{URL}\n")
    (folder / "DEPLOY_AGENT_HTTP__TOKEN").write_text("0123456789abcdef")
    (folder / "of_somebody_else").write_text("x")
    (folder / "kubernetes.io").mkdir()
    settings = load_settings()
    assert settings.require_database_url().get_secret_value() == URL
    assert settings.http.token == SecretStr("0123456789abcdef")
    (folder / "deploy_agent_htp__token").write_text("x")
    error = refused()
    assert (error.code, error.hint) == ("settings.unknown_variable", "Did you mean deploy_agent_http__token?")
    (folder / "deploy_agent_htp__token").unlink()
    monkeypatch.setenv("DEPLOY_AGENT_HTTP__TOKEN", "0123456789abcdef")
    assert refused().code == "settings.secret_twice"
    monkeypatch.delenv("DEPLOY_AGENT_HTTP__TOKEN")
    monkeypatch.setenv("DEPLOY_AGENT_HTTP__TOKEN_FILE", str(folder / "DEPLOY_AGENT_HTTP__TOKEN"))
    assert refused().code == "settings.secret_twice"


def test_tokens_of_the_api(monkeypatch: pytest.MonkeyPatch):
    ends = digest(b"sda_x").hex()
    write(f"http:\n  tokens:\n    - {{name: ci, hash: 'sha256:{ends}'}}\n    - {{name: x, hash: {ends}}}\n")
    assert "http.tokens.1.hash is not valid: write sha256: and 64" in refused().message
    write(f"http:\n  tokens:\n    - {{name: ci, hash: 'sha256:{ends}'}}\n    - {{name: ci, hash: 'sha256:{ends}'}}\n")
    assert "the name ci is used twice" in refused().message
    Path("hash").write_text(f"sha256:{ends}\n")
    write("http:\n  tokens:\n    - {name: ci, scope: operate, hash_file: hash}\n    - {name: x, hash: env(OF_X)}\n")
    monkeypatch.setenv("OF_X", f"sha256:{digest(b'sda_y').hex()}")
    http = load_settings().http
    assert not http.open_to_all
    assert recognise(b"sda_x", http.keys) == Caller(name="ci", scope=Scope.OPERATE)
    assert recognise(b"sda_y", http.keys) == Caller(name="x", scope=Scope.READ)
    assert recognise(b"sda_z", http.keys) is None
    assert ends not in str(load_settings().redacted())


OTHER = "zyxwvutsrqponmlkjihg"


@pytest.mark.parametrize(
    ("backup", "told"),
    [
        ({"target": "supabase://abcdefghijklmnopqrst/b/x", "storage_key": "sb_secret_word"}, "the project itself"),
        (
            {"target": "supabase://here/b", "storage_key": "sb_secret_word", "storage_url": "https://own.example/"},
            "the project itself",
        ),
        ({"target": f"supabase://{OTHER}/b"}, "set backup.storage_key"),
        ({"target": "supabase://here/b", "storage_key": "sb_secret_word"}, "names no project"),
        ({"target": f"supabase://{OTHER}"}, "a bucket"),
        ({"target": f"supabase://{OTHER}/b", "storage_key": "two words"}, "one word"),
        ({"storage_url": "ftp://x"}, "https://"),
    ],
)
def test_a_bucket_of_supabase_storage_that_is_no_place_for_backups(backup: dict[str, str], told: str):
    document = {"database_url": URL, "api": {"url": "https://own.example"}, "backup": backup}
    error = refused(write(json.dumps(document)))
    assert error.code == "settings.invalid"
    assert told in error.message
    assert "sb_secret_word" not in str(error.as_dict())


def test_a_bucket_of_another_project_is_one():
    write(
        json.dumps({"database_url": URL, "backup": {"target": f"supabase://{OTHER}/b", "storage_key": "sb_secret_x"}})
    )
    settings = load_settings()
    assert settings.backup.storage_ref == OTHER
    assert "sb_secret_x" in settings.secrets()
