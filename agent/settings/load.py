"""Reads the settings, and says exactly what is wrong with them: the file's line, or the variable's name."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import SettingsError

from agent.core.patterns import in_words
from agent.errors import InputError
from agent.settings.database_url import check_database_url
from agent.settings.models import ENV_PREFIX, Settings

CONFIG_VARIABLE = f"{ENV_PREFIX}CONFIG"
FOLDER_VARIABLE = f"{ENV_PREFIX}SECRETS_DIR"
DEFAULT_FILE = Path("deploy-agent.yaml")
_ENV_CALL = re.compile(r"env\(([A-Za-z_][A-Za-z0-9_]*)\)")
# Kubernetes puts such variables into every container when a Service is called deploy-agent.
_SERVICE_VARIABLE = re.compile(
    rf"{ENV_PREFIX}(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
Loc = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Settings, and the files that they came from: the settings file, and those that hold secrets."""

    settings: Settings
    files: tuple[Path, ...]


def load_settings(config: Path | None = None) -> Settings:
    """The settings from environment, file and defaults; see `load`."""
    return load(config).settings


def load(config: Path | None = None) -> Loaded:
    """The settings from environment, file, the folder of secrets, and defaults; and where they came from.

    Args:
        config: the file; None takes DEPLOY_AGENT_CONFIG, then `deploy-agent.yaml` if there is one, else no file.

    Raises:
        InputError: `settings.no_file`, `settings.yaml`, `settings.unknown_key`, `settings.unknown_variable`,
            `settings.env_unset`, `settings.secret_file`, `settings.secret_twice`, `settings.invalid`,
            `settings.database_url`.
        TargetError: `target.transaction_pooler`.
    """
    _check_variables()
    path = _find(config)
    document = _read(path) if path else {}
    files = [path] if path else []
    values = _resolve(document, Settings, path, (), files)
    for loc, text in _secrets_from_files(files):
        _put(values, loc, text)
    try:
        return Loaded(settings=Settings(**values), files=tuple(files))
    except SettingsError as error:
        field = re.search(r'field "(\w+)"', str(error))
        name = f"{ENV_PREFIX}{field[1].upper()}" if field else ENV_PREFIX
        raise InputError(
            f"{name} is not valid JSON",
            code="settings.invalid",
            hint="Lists and sections are written as JSON in the environment.",
            where={"variable": name},
        ) from None  # the cause quotes the value
    except ValidationError as error:
        raise _explained(error, document, path) from None  # pydantic's error quotes the values


def other_database_url(to: str, file: Path | None = None) -> SecretStr:
    """The URL of another database than the settings': written out, `env(NAME)`, or in a file.

    Args:
        to: what `--to` says, or "".
        file: what `--to-file` says, or None.

    Raises:
        InputError: `settings.secret_twice`, `settings.env_unset`, `settings.secret_file`, `settings.database_url`.
        TargetError: `target.transaction_pooler`.
    """
    field = "--to" if to else "--to-file"
    if to and file is not None:
        raise _twice("--to and --to-file", {"field": field})
    if call := _ENV_CALL.fullmatch(to.strip()):
        to = os.environ.get(call[1], "")
        if not to:
            raise InputError(
                f"--to wants the environment variable {call[1]}, which is not set",
                code="settings.env_unset",
                hint=f"Set {call[1]} to the database's URL.",
                where={"field": field},
            )
    url = to if file is None else _read_secret(str(file), field, {"field": field})
    return SecretStr(check_database_url(url, field=field))


def _find(config: Path | None) -> Path | None:
    named = config or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    if named is None:
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    if not named.is_file():
        raise InputError(
            f"there is no config file {named}",
            code="settings.no_file",
            hint="Check --config and DEPLOY_AGENT_CONFIG, or write one with `deploy-agent init`.",
            where={"file": str(named)},
        )
    return named


def _read(path: Path) -> dict[str, Any]:
    """The file's keys and values; ruamel's dictionaries and lists know their places."""
    from ruamel.yaml import YAML  # noqa: PLC0415 - only who has a file pays for it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415

    try:
        document = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(
            f"{path} cannot be read: {reason}", code="settings.no_file", where={"file": str(path)}
        ) from error
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        place = {"line": mark.line + 1, "column": mark.column + 1} if mark else {}
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "it is not YAML"
        problem = re.sub(r'(with value) ".*?" ', "", problem.splitlines()[0])  # a repeated key would quote the value
        raise InputError(
            f"{path}{line} is not valid YAML: {problem}",
            code="settings.yaml",
            hint="Check indentation, colons and quotes there.",
            where={"file": str(path), **place},
        ) from None  # its text quotes the file
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InputError(
            f"{path} must hold keys and values at its top",
            code="settings.yaml",
            hint="See config/agent.example.yaml.",
            where={"file": str(path), "line": 1, "column": 1},
        )
    return document


def _resolve(  # YAML in, plain values out
    node: Any,  # noqa: ANN401
    kind: Any,  # noqa: ANN401
    path: Path | None,
    loc: Loc,
    files: list[Path],
) -> Any:  # noqa: ANN401
    """Plain values of the YAML: `env(NAME)` replaced, `<secret>_file` read and added to `files`."""
    if isinstance(node, Mapping):
        fields = _fields(kind)
        result: dict[str, Any] = {}
        where: dict[str, str | int] = {"file": str(path)}
        for key, item in node.items():
            name = str(key)
            base = name.removesuffix("_file")
            if base != name and name not in fields and base in fields and _is_secret(fields[base]):
                if base in node:
                    raise _twice(f"{base} and {name}", where | _place(node, key))
                result[base] = _read_secret(str(item), f"{name} in {path}", where | _place(node, key))
                files.append(Path(str(item)))
            else:
                result[name] = _resolve(item, fields.get(name), path, (*loc, name), files)
        return result
    if isinstance(node, list):
        return [_resolve(item, _item_of(kind), path, (*loc, index), files) for index, item in enumerate(node)]
    if isinstance(node, str) and (call := _ENV_CALL.fullmatch(node.strip())):
        if call[1] not in os.environ:
            field = ".".join(str(part) for part in loc)
            raise InputError(
                f"{field} in {path} wants the environment variable {call[1]}, which is not set",
                code="settings.env_unset",
                hint=f"Set {call[1]}, or remove the key.",
                where={"file": str(path), "field": field},
            )
        return os.environ[call[1]]
    return str(node) if isinstance(node, str) else node


def _fields(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a type, or None for what the model does not know
    model = next(
        (each for each in (kind, *get_args(kind)) if isinstance(each, type) and issubclass(each, BaseModel)), None
    )
    return {name: info.annotation for name, info in model.model_fields.items()} if model else {}


def _item_of(kind: Any) -> Any:  # noqa: ANN401 - as above
    return get_args(kind)[0] if get_args(kind) else None


def _is_secret(kind: Any) -> bool:  # noqa: ANN401 - as above
    return kind is SecretStr or SecretStr in get_args(kind)


def _variables(
    model: type[BaseModel] = Settings, prefix: str = ENV_PREFIX, loc: Loc = ()
) -> Iterator[tuple[str, Loc, bool]]:
    """Each environment variable that is understood: its name, the field it sets, and whether that is a secret."""
    for name, info in model.model_fields.items():
        variable, here = f"{prefix}{name.upper()}", (*loc, name)
        yield variable, here, _is_secret(info.annotation)
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _variables(info.annotation, f"{variable}__", here)


def _check_variables() -> None:
    known = {CONFIG_VARIABLE, FOLDER_VARIABLE}
    for variable, _, secret in _variables():
        known |= {variable, f"{variable}_FILE"} if secret else {variable}
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(ENV_PREFIX) and upper not in known and not _SERVICE_VARIABLE.fullmatch(upper):
            near = difflib.get_close_matches(upper, known, n=1)
            raise InputError(
                f"the environment variable {name} is not a setting",
                code="settings.unknown_variable",
                hint=f"Did you mean {near[0]}?" if near else "See config/agent.example.yaml for all settings.",
                where={"variable": name},
            )


def _secrets_from_files(files: list[Path]) -> Iterator[tuple[Loc, str]]:
    """Secrets that a variable `…_FILE`, or the folder of secrets, names; the files are added to `files`."""
    environ = {name.upper(): value for name, value in os.environ.items() if value}
    named = {variable: loc for variable, loc, secret in _variables() if secret}
    in_folder = _folder_of_secrets(environ.get(FOLDER_VARIABLE, ""), named)
    for variable, loc in named.items():
        name = f"{variable}_FILE"
        found = [(environ[name], name)] if name in environ else []
        found += [(str(in_folder[variable]), FOLDER_VARIABLE)] if variable in in_folder else []
        if not found:
            continue
        if variable in environ or len(found) > 1:
            both = variable if variable in environ else str(in_folder[variable])
            raise _twice(f"{both} and {found[0][1]}", {"variable": found[0][1]})
        file, origin = found[0]
        files.append(Path(file))
        yield loc, _read_secret(file, origin, {"variable": origin})


def _folder_of_secrets(folder: str, named: Mapping[str, Loc]) -> dict[str, Path]:
    """The files of a folder such as /run/secrets that are called as a secret's variable, in capitals or not."""
    if not folder:
        return {}
    try:
        files = sorted(each for each in Path(folder).iterdir() if each.is_file())
    except OSError as error:
        raise InputError(
            f"{FOLDER_VARIABLE} names {folder}, which cannot be read: {error.strerror}",
            code="settings.secret_file",
            hint="Check the path and that the agent's user may read it.",
            where={"variable": FOLDER_VARIABLE},
        ) from None
    found = {each.name.upper(): each for each in files if each.name.upper().startswith(ENV_PREFIX)}
    for name, file in found.items():
        if name not in named:
            near = difflib.get_close_matches(name, named, n=1)
            raise InputError(
                f"{file} is not called as a secret of the settings is",
                code="settings.unknown_variable",
                hint=f"Did you mean {near[0].lower()}?" if near else "Only secrets are read there.",
                where={"file": str(file)},
            )
    return found


def _twice(names: str, where: dict[str, str | int]) -> InputError:
    return InputError(f"{names} are both set", code="settings.secret_twice", hint="Keep one of the two.", where=where)


def _read_secret(file: str, name: str, where: dict[str, str | int]) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError(
            f"{name} names {file}, which cannot be read: {reason}",
            code="settings.secret_file",
            hint="Check the path and that the agent's user may read it.",
            where=where,
        ) from None
    if not text:
        raise InputError(f"{name} names {file}, which is empty", code="settings.secret_file", where=where)
    return text


def _put(values: dict[str, Any], loc: Loc, text: str) -> None:
    for part in loc[:-1]:
        inner = values.get(str(part))
        values[str(part)] = inner = dict(inner) if isinstance(inner, dict) else {}
        values = inner
    values[str(loc[-1])] = text


def _place(node: Any, key: Any) -> dict[str, str | int]:  # noqa: ANN401 - a node of ruamel's
    try:
        lines = node.lc
        line, column = lines.item(key) if isinstance(node, list) else lines.key(key)
    except (AttributeError, KeyError, IndexError, TypeError):
        return {}
    return {"line": line + 1, "column": column + 1}


def _locate(document: dict[str, Any], loc: Loc) -> dict[str, str | int]:
    """Line and column of the deepest part of `loc` that the file has."""
    node: Any = document
    place: dict[str, str | int] = {}
    for part in loc:
        known = part in node if isinstance(node, dict) else isinstance(node, list)
        if not known:
            break
        place = _place(node, part) or place
        node = node[part]
    return place


def _variable_for(loc: Loc) -> str | None:
    """The environment variable that set this field, if one did."""
    environ = {name.upper() for name, value in os.environ.items() if value}
    for depth in range(len(loc), 0, -1):
        name = ENV_PREFIX + "__".join(str(part).upper() for part in loc[:depth])
        for candidate in (name, f"{name}_FILE"):
            if candidate in environ:
                return candidate
    return None


def _explained(error: ValidationError, document: dict[str, Any], path: Path | None) -> InputError:
    """The first thing that is wrong, with its place; the others are counted. Values are never quoted."""
    details = error.errors(include_url=False, include_input=False)
    first = next((each for each in details if each["type"] == "extra_forbidden"), details[0])
    loc: Loc = tuple(first["loc"])
    field = ".".join(str(part) for part in loc)
    variable = _variable_for(loc)
    where: dict[str, str | int] = {"field": field} if field else {}
    if variable:
        where["variable"] = variable
        origin = f"{variable}: "
    elif path:
        where |= {"file": str(path)} | _locate(document, loc)
        origin = f"{path} line {where['line']}: " if "line" in where else f"{path}: "
    else:
        origin = ""
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    if first["type"] == "extra_forbidden":
        siblings = list(_fields(_kind_at(loc[:-1])))
        near = difflib.get_close_matches(str(loc[-1]), siblings, n=1)
        known = ", ".join(sorted(siblings))
        return InputError(
            f"{origin}there is no setting {field}{more}",
            code="settings.unknown_key",
            hint=f"Did you mean {near[0]}?" if near else f"Known here: {known}.",
            where=where,
        )
    reason = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "string_pattern_mismatch":
        reason = in_words(first["ctx"]["pattern"])
    reason = reason[0].lower() + reason[1:] if reason[:1].isupper() else reason
    return InputError(
        f"{origin}{field} is not valid: {reason}{more}" if field else f"{origin}{reason}{more}",
        code="settings.invalid",
        hint="See config/agent.example.yaml for what it may be.",
        where=where,
    )


def _kind_at(loc: Loc) -> Any:  # noqa: ANN401 - a type of the model
    kind: Any = Settings
    for part in loc:
        kind = _item_of(kind) if isinstance(part, int) else _fields(kind).get(str(part))
    return kind
