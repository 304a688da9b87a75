"""What the Helm chart says of its values: values.schema.json and the README, made from values.yaml and `Settings`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from agent.settings import Settings

CHART = Path(__file__).resolve().parent.parent.parent / "helm" / "supabase-deploy-agent"
VALUES = CHART / "values.yaml"
SCHEMA = CHART / "values.schema.json"
README = CHART / "README.md"
BEGIN, END = "<!-- generated: values -->", "<!-- end generated -->"

_SET_BY_THE_CHART = {"state_dir", "migrations", "runbook", "http.host", "http.port"}
_DURATION = r"^\s*([0-9]+(\.[0-9]+)?\s*(ms|min|s|m|h|d)\s*)+$"
_ENV_CALL = r"^env\([A-Za-z_][A-Za-z0-9_]*\)$"

_TEXT: dict[str, Any] = {"type": "string"}
_OPEN: dict[str, Any] = {"type": "object"}  # Kubernetes' own, and Kubernetes looks at it
_LABELS = {"type": "object", "additionalProperties": _TEXT}
_QUANTITY = {"type": ["string", "number"], "pattern": r"^[0-9.]+([KMGTPE]i?|[mk])?$"}
_PULL = {"type": "string", "enum": ["IfNotPresent", "Always", "Never"]}
_GO_TIME = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h))+$"}
_SECONDS_OR_EMPTY = {"type": ["integer", "null"], "minimum": 0}
_NAME = {"type": "string", "maxLength": 253, "pattern": r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"}


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": properties}
    return shape | ({"required": list(required)} if required else {})


def _items(shape: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": shape}


def _ports() -> dict[str, Any]:
    return _items({"type": "integer", "minimum": 1, "maximum": 65535}) | {"minItems": 1}


_COUNT = {"type": "integer", "minimum": 1}
_PROBE = _closed(
    dict.fromkeys(
        ("periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold", "initialDelaySeconds"), _COUNT
    )
)
_AMOUNTS = {"type": "object", "additionalProperties": _QUANTITY}
_RESOURCES = _closed({"requests": _AMOUNTS, "limits": _AMOUNTS, "claims": _items(_OPEN)})

# What the default of a value does not tell of it. Others have their default's type; a text is any text.
_SHAPES: dict[str, dict[str, Any]] = {
    "mode": {"type": "string", "enum": ["serve", "job", "include"]},
    "commonLabels": _LABELS,
    "commonAnnotations": _LABELS,
    "image.repository": {"type": "string", "pattern": r"^[^@\s]*$"},
    "image.tag": {"type": "string", "pattern": r"^[\w.-]*$"},
    "image.digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    "image.pullPolicy": _PULL,
    "imagePullSecrets": _items(_NAME),
    "secrets.existingSecret": _NAME,
    "secrets.env": _items(
        _closed(
            {
                "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
                "secret": _NAME,
                "key": {"type": "string", "minLength": 1},
            },
            "name",
            "key",
        )
    ),
    "migrations.source": {"type": "string", "enum": ["image", "git", "configMap", "oci"]},
    "migrations.image.pullPolicy": _PULL,
    "migrations.image.directory": {"type": "string", "pattern": "^/"},
    "migrations.git.repository": {"type": "string", "pattern": r"^(https?://[^\s@]+|ssh://\S+|[\w.-]+@\S+)?$"},
    "migrations.git.period": _GO_TIME,
    "migrations.git.existingSecret": _NAME,
    "migrations.git.resources": _RESOURCES,
    "migrations.configMap.name": _NAME,
    "migrations.oci.pullPolicy": _PULL,
    "runbook.configMap.name": _NAME,
    "persistence.existingClaim": _NAME,
    "persistence.size": _QUANTITY,
    "persistence.accessModes": _items(
        {"type": "string", "enum": ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"]}
    ),
    "persistence.annotations": _LABELS,
    "persistence.whenDeleted": {"type": "string", "enum": ["Retain", "Delete"]},
    "tmp.sizeLimit": _QUANTITY,
    "service.type": {"type": "string", "enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "service.port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "service.annotations": _LABELS,
    "ingress.annotations": _LABELS,
    "httpRoute.annotations": _LABELS,
    "httpRoute.parentRefs": _items(_OPEN | {"required": ["name"]}),
    "httpRoute.hostnames": _items(_TEXT),
    "networkPolicy.ingress.from": _items(_OPEN),
    "networkPolicy.egress.dns.to": _items(_OPEN),
    "networkPolicy.egress.database.to": _items(_OPEN),
    "networkPolicy.egress.database.ports": _ports(),
    "networkPolicy.egress.https.to": _items(_OPEN),
    "networkPolicy.egress.https.ports": _ports(),
    "networkPolicy.egress.extra": _items(_OPEN),
    "serviceAccount.annotations": _LABELS,
    "podDisruptionBudget.maxUnavailable": {"type": "integer", "minimum": 0, "maximum": 1},
    "probes.liveness": _PROBE,
    "probes.readiness": _PROBE,
    "probes.startup": _PROBE,
    "terminationGracePeriodSeconds": _SECONDS_OR_EMPTY,
    "resources": _RESOURCES,
    "podSecurityContext": _OPEN,
    "securityContext": _OPEN,
    "nodeSelector": _LABELS,
    "tolerations": _items(_OPEN),
    "affinity": _OPEN,
    "topologySpreadConstraints": _items(_OPEN),
    "podLabels": _LABELS,
    "podAnnotations": _LABELS,
    "extraVolumes": _items(_OPEN | {"required": ["name"]}),
    "extraVolumeMounts": _items(_OPEN | {"required": ["name", "mountPath"]}),
    "job.hook": {"type": "string", "enum": ["helm", "argocd", "none"]},
    "job.weight": {"type": "integer"},
    "job.args": _items(_TEXT),
    "job.activeDeadlineSeconds": _SECONDS_OR_EMPTY,
    "wait.version": {"type": "string", "pattern": "^(latest|[0-9]+)$"},
    "wait.timeout": {"type": "integer", "minimum": 0},
    "wait.resources": _RESOURCES,
    "serviceMonitor.labels": _LABELS,
    "serviceMonitor.interval": _GO_TIME,
    "serviceMonitor.scrapeTimeout": _GO_TIME,
    "serviceMonitor.metricRelabelings": _items(_OPEN),
    "prometheusRule.labels": _LABELS,
    "dashboard.labels": _LABELS,
    "dashboard.annotations": _LABELS,
}


@dataclass(frozen=True, kw_only=True)
class Value:
    """One documented value."""

    path: str
    text: str
    default: str
    value: Any


def values() -> list[Value]:
    """Every value of values.yaml, in its order.

    Raises:
        ValueError: one has no `# --` line.
    """
    lines = VALUES.read_text(encoding="utf-8").splitlines()
    document = YAML(typ="safe").load("\n".join(lines))
    found: list[Value] = []
    parents: list[tuple[int, str]] = []
    text = ""
    for number, line in enumerate(lines):
        stripped = line.strip()
        if stripped.startswith("# -- "):
            text = stripped.removeprefix("# -- ")
        elif stripped.startswith("# ") and text:
            text += " " + stripped.removeprefix("# ")
        elif match := re.match(r"( *)([\w.]+):(.*)", line):
            indent = len(match[1])
            parents = [one for one in parents if one[0] < indent]
            if parents and any(one.path == ".".join(name for _, name in parents) for one in found):
                continue  # inside of a value that is documented as one
            path = ".".join([name for _, name in parents] + [match[2]])
            if text:
                value = _at(document, [name for _, name in parents] + [match[2]])
                default = match[3].strip() or _below(lines, number, indent)
                found.append(Value(path=path, text=text, default=default, value=value))
            elif match[3].strip():
                raise ValueError(f"values.yaml line {number + 1}: {path} has no description (# -- …)")
            parents.append((indent, match[2]))
            text = ""
    return found


def _at(node: Any, path: list[str]) -> Any:
    for name in path:
        node = node[name]
    return node


def _below(lines: list[str], number: int, indent: int) -> str:
    """The default of a value that is written over several lines, in one."""
    parts = []
    for line in lines[number + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        parts.append(line.strip())
    return "{" + ", ".join(part for part in parts if part) + "}"


def schema() -> dict[str, Any]:
    """The JSON Schema of the values; draft 7, which Helm 3 and 4 read."""
    root = _closed({})
    for one in values():
        *sections, name = one.path.split(".")
        inner = root
        for section in sections:
            inner = inner["properties"].setdefault(section, _closed({}))
        inner["properties"][name] = {"description": one.text} | _shape(one)
    root["properties"]["global"] = {"description": "Helm gives it to the charts of a chart.", "type": "object"}
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "supabase-deploy-agent"} | root


def _shape(one: Value) -> dict[str, Any]:
    if one.path == "config":
        return _section(Settings.model_json_schema(), Settings.model_json_schema().get("$defs", {}), "")
    if one.path == "secrets.keys":
        return _closed({name: {"type": "string", "pattern": r"^[-._a-zA-Z0-9]*$"} for name in _secrets()})
    if one.path in _SHAPES:
        return _SHAPES[one.path]
    kinds = {bool: "boolean", int: "integer", str: "string"}
    if type(one.value) not in kinds:
        raise ValueError(f"say in _SHAPES what {one.path} may be")
    return {"type": kinds[type(one.value)]}


def _secrets() -> list[str]:
    """The settings that are secrets, but for those in lists."""
    document = Settings.model_json_schema()

    def walk(node: dict[str, Any], prefix: str) -> list[str]:
        names = []
        for name, raw in node["properties"].items():
            field = _resolved(raw, document["$defs"])
            if _is_secret(field):
                names.append(prefix + name)
            elif "properties" in field:
                names += walk(field, f"{prefix}{name}.")
        return names

    return walk(document, "")


def _resolved(field: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in field:
        return dict(defs[field["$ref"].rpartition("/")[2]])
    if len(field.get("allOf", ())) == 1:
        return _resolved(field["allOf"][0], defs)
    return field


def _is_secret(field: dict[str, Any]) -> bool:
    return any(one.get("format") == "password" for one in (field, *field.get("anyOf", ())))


def _section(node: dict[str, Any], defs: dict[str, Any], prefix: str, *, in_list: bool = False) -> dict[str, Any]:
    """A section of the settings, without what the chart sets and without secrets written out."""
    properties: dict[str, Any] = {}
    either = []
    for name, raw in node["properties"].items():
        field, path = _resolved(raw, defs), f"{prefix}{name}"
        if path in _SET_BY_THE_CHART or (_is_secret(field) and not in_list):
            continue
        if _is_secret(field):
            properties[name] = {"type": "string", "pattern": _ENV_CALL}
            properties[f"{name}_file"] = {"type": "string", "pattern": "^/"}
            if name in node.get("required", ()):
                either.append({"oneOf": [{"required": [name]}, {"required": [f"{name}_file"]}]})
        else:
            properties[name] = _plain(field, defs, f"{path}.")
    needed = [name for name in node.get("required", ()) if f"{name}_file" not in properties]
    return _closed(properties, *needed) | ({"allOf": either} if either else {})


def _plain(field: dict[str, Any], defs: dict[str, Any], prefix: str) -> dict[str, Any]:
    """One setting, without what only pydantic reads."""
    field = _resolved(field, defs)
    if "properties" in field:
        return _section(field, defs, prefix)
    if "anyOf" in field:
        kinds = [_plain(one, defs, prefix) for one in field["anyOf"]]
        names = [one.get("type") for one in kinds]
        if {"string", "number"} <= set(names):  # a duration
            return {"type": names, "minimum": 0, "pattern": _DURATION}
        if len(kinds) == 2 and names[1] == "null" and isinstance(names[0], str):
            return kinds[0] | {"type": names} if "enum" not in kinds[0] else {"anyOf": kinds}
        return {"anyOf": kinds}
    if field.get("type") == "array":
        item = _resolved(field["items"], defs)
        inner = _section(item, defs, prefix, in_list=True) if "properties" in item else _plain(item, defs, prefix)
        return {"type": "array", "items": inner}
    kept = ("type", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "pattern", "minLength", "maxLength")
    plain = {name: field[name] for name in kept if name in field}
    if isinstance(field.get("additionalProperties"), dict):
        plain["additionalProperties"] = _plain(field["additionalProperties"], defs, prefix)
    return plain


def with_values(text: str) -> str:
    """The README with the table of values."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    rows = [f"| `{one.path}` | `{_cell(one.default)}` | {_cell(one.text)} |" for one in values()]
    table = "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows])
    return f"{before}{begin}\n{table}\n{end}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
