"""STAND-IN for PostgREST: tables with filters, insert, update, delete, functions, and a schema cache that can be old.

The cache is read when the project's API starts and when `NOTIFY pgrst, 'reload schema'` is heard; before that a new
table is unknown (PGRST205), a new function too (PGRST202). Source: PostgREST's documentation, "Tables and Views",
"Functions as RPC", "Errors" and "Schema Cache". Not there: embedding, `or`, aggregates, ranges by header, plans.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql as pgsql
from starlette.requests import Request

from .gateway import Caller, Failure, as_caller, as_json, caller_of
from .model import Answer
from .project import Project

_OPERATORS = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
}
_RESERVED = {"select", "order", "limit", "offset", "on_conflict", "columns", "apikey"}
_SINGLE = "application/vnd.pgrst.object+json"
_STATUS = {
    "08": 503,
    "0A": 500,
    "25006": 405,
    "23503": 409,
    "23505": 409,
    "42P01": 404,
    "42883": 404,
    "P0001": 400,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "XX": 500,
}

_TABLES = """
SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY (%s)
"""
_FUNCTIONS = """
SELECT n.nspname || '.' || p.proname, coalesce(p.proargnames, '{}'),
       ARRAY(SELECT format_type(one, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a(one, at) ORDER BY at),
       p.pronargs - p.pronargdefaults, p.proretset, t.typtype = 'c' OR p.prorettype = 'record'::regtype,
       p.prorettype = 'void'::regtype
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_type AS t ON t.oid = p.prorettype
WHERE p.prokind = 'f' AND n.nspname = ANY (%s)
"""


@dataclass(frozen=True, kw_only=True)
class _Function:
    arguments: Mapping[str, str]  # name to type
    required: int
    is_set: bool
    is_row: bool
    is_void: bool


@dataclass(kw_only=True)
class _Cache:
    tables: set[str] = field(default_factory=set)
    functions: dict[str, list[_Function]] = field(default_factory=dict)


class PostgRest:
    """The data API of one project.

    Attributes:
        deaf: notifications are not heard, as when the listening connection goes through a transaction pooler.
        loads: how often the schema cache was read.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._cache: _Cache | None = None
        self._listening: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self.deaf = False
        self.loads = 0

    async def start(self) -> None:
        """Read the schema cache and listen. Does nothing when that was done before."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        await self._loaded.wait()

    async def stop(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                connection = await self._connect()
                async with connection:
                    await connection.execute("LISTEN pgrst")
                    await self._load()
                    async for heard in connection.notifies():
                        if not self.deaf and heard.payload in ("", "reload schema"):
                            await self._load()  # by a connection of its own: this one only listens
            except psycopg.OperationalError:
                await asyncio.sleep(0.1)  # the database is away: it is asked again, as PostgREST does

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(
            self._project.url("authenticator"), autocommit=True, application_name="postgrest"
        )

    async def _load(self) -> None:
        schemas = [self._schemas()]
        found = _Cache()
        async with await self._connect() as connection:
            cursor = await connection.execute(_TABLES, schemas)
            found.tables = {row[0] for row in await cursor.fetchall()}
            cursor = await connection.execute(_FUNCTIONS, schemas)
            for name, names, types, required, is_set, is_row, is_void in await cursor.fetchall():
                function = _Function(
                    arguments=dict(zip(names, types, strict=False)),
                    required=required,
                    is_set=is_set,
                    is_row=is_row,
                    is_void=is_void,
                )
                found.functions.setdefault(name, []).append(function)
        self._cache = found
        self.loads += 1
        self._loaded.set()

    def _schemas(self) -> list[str]:
        return [one.strip() for one in self._project.schemas.split(",")]

    async def answer(self, request: Request, path: str) -> Answer:
        """Answer one request.

        Args:
            path: what follows `/rest/v1/`.
        """
        await self.start()
        caller = caller_of(self._project, request)
        try:
            if path.startswith("rpc/"):
                return await self._call(request, caller, path.removeprefix("rpc/"))
            return await self._table(request, caller, path)
        except psycopg.OperationalError as error:
            if error.sqlstate is None:
                raise _failure(
                    503, "PGRST001", "Could not connect with the database due to an internal error"
                ) from error
            raise _of_postgres(error, caller) from error
        except psycopg.Error as error:
            raise _of_postgres(error, caller) from error

    def _schema(self, request: Request) -> str:
        header = "accept-profile" if request.method in ("GET", "HEAD") else "content-profile"
        wanted = request.headers.get(header) or self._schemas()[0]
        if wanted not in self._schemas():
            raise _failure(406, "PGRST106", f"Invalid schema: {wanted}")
        return wanted

    async def _table(self, request: Request, caller: Caller, name: str) -> Answer:
        schema = self._schema(request)
        assert self._cache is not None
        if f"{schema}.{name}" not in self._cache.tables:
            raise _failure(404, "PGRST205", f"Could not find the table '{schema}.{name}' in the schema cache")
        table = pgsql.Identifier(schema, name)
        prefer = _prefer(request)
        where = _where(request)
        columns = _columns(request.query_params.get("select", "*"))
        read = pgsql.SQL("found AS (SELECT {} FROM {}{}{})").format(columns, table, where, self._paged(request))
        returned = request.method in ("GET", "HEAD") or prefer.get("return") == "representation"
        body = json.loads(await request.body() or b"null")
        if request.method == "POST":
            given = body if isinstance(body, list) else [body]
            keys = list(dict.fromkeys(key for one in given for key in one))
            change = _insert(table, keys, given, request.query_params.get("on_conflict"), prefer.get("resolution"))
        elif request.method == "PATCH":
            sets = [pgsql.SQL("{0} = given.{0}").format(pgsql.Identifier(key)) for key in body]
            change = pgsql.SQL("UPDATE {0} SET {1} FROM json_populate_record(NULL::{0}, {2}) AS given{3}").format(
                table, pgsql.SQL(", ").join(sets), pgsql.Literal(json.dumps(body)), _where(request, table=name)
            )
        elif request.method == "DELETE":
            change = pgsql.SQL("DELETE FROM {}{}").format(table, where)
        elif returned:
            return await self._rows(request, caller, read, status=200, counted=(table, where))
        else:
            raise _failure(405, "PGRST117", f"Unsupported HTTP method: {request.method}")
        status = 201 if request.method == "POST" else 200 if returned else 204
        if returned:
            star = pgsql.SQL("{}.*").format(table) if request.method == "PATCH" else pgsql.SQL("*")
            done = pgsql.SQL("done AS ({} RETURNING {}), found AS (SELECT {} FROM done)").format(change, star, columns)
            return await self._rows(request, caller, done, status=status, counted=None)
        async with as_caller(self._project, caller, **self._settings(request, schema)) as connection:
            await connection.execute(change)
        return Answer(status=status)

    def _settings(self, request: Request, schema: str) -> dict[str, str]:
        return {
            "search_path": f'"{schema}", {self._project.search_path}',
            "request__method": request.method,
            "request__path": request.url.path,
        }

    def _paged(self, request: Request) -> pgsql.Composable:
        parts: list[pgsql.Composable] = []
        if order := request.query_params.get("order"):
            parts.append(pgsql.SQL(" ORDER BY {}").format(pgsql.SQL(", ").join(_order(order))))
        limit = min(int(request.query_params.get("limit", self._project.max_rows)), self._project.max_rows)
        parts.append(pgsql.SQL(" LIMIT {}").format(limit))
        if offset := request.query_params.get("offset"):
            parts.append(pgsql.SQL(" OFFSET {}").format(int(offset)))
        return pgsql.Composed(parts)

    async def _rows(
        self,
        request: Request,
        caller: Caller,
        queries: pgsql.Composable,
        *,
        status: int,
        counted: tuple[pgsql.Composable, pgsql.Composable] | None,
    ) -> Answer:
        total = "*"
        async with as_caller(self._project, caller, **self._settings(request, self._schema(request))) as connection:
            cursor = await connection.execute(
                pgsql.SQL("WITH {} SELECT coalesce(json_agg(found), '[]')::text, count(*) FROM found").format(queries)
            )
            row = await cursor.fetchone()
            assert row is not None
            if counted is not None and "count" in _prefer(request):
                cursor = await connection.execute(pgsql.SQL("SELECT count(*) FROM {}{}").format(*counted))
                total = str((await cursor.fetchone() or [0])[0])
            text, number = row
            if _SINGLE in request.headers.get("accept", ""):
                if number != 1:
                    details = f"The result contains {number} rows"
                    raise _failure(406, "PGRST116", "Cannot coerce the result to a single JSON object", details)
                return as_json(json.loads(text)[0], status)
        span = f"0-{number - 1}" if number else "*"
        return Answer(status=status, body=text.encode(), headers={"content-range": f"{span}/{total}"})

    async def _call(self, request: Request, caller: Caller, name: str) -> Answer:
        schema = self._schema(request)
        if request.method == "POST":
            given = json.loads(await request.body() or b"{}")
        else:
            given = {key: value for key, value in request.query_params.items() if key not in _RESERVED}
        assert self._cache is not None
        for function in self._cache.functions.get(f"{schema}.{name}", []):
            if set(given) <= set(function.arguments) and len(given) >= function.required:
                break
        else:
            how = f"({', '.join(given)})" if given else " without parameters"
            message = f"Could not find the function {schema}.{name}{how} in the schema cache"
            raise _failure(404, "PGRST202", message)
        values = pgsql.Literal(json.dumps(given))
        arguments = [
            pgsql.SQL("{0} => (SELECT a.{0} FROM json_to_record({1}) AS a({0} {2}))").format(
                pgsql.Identifier(key),
                values,
                pgsql.SQL(function.arguments[key]),
            )
            for key in given
        ]
        call = pgsql.SQL("{}({})").format(pgsql.Identifier(schema, name), pgsql.SQL(", ").join(arguments))
        if function.is_set or function.is_row:
            rows = pgsql.SQL("SELECT * FROM {}").format(call)
        else:
            rows = pgsql.SQL("SELECT {} AS result").format(call)
        async with as_caller(self._project, caller, **self._settings(request, schema)) as connection:
            cursor = await connection.execute(
                pgsql.SQL("WITH found AS ({}) SELECT coalesce(json_agg(found), '[]')::text FROM found").format(rows)
            )
            found = json.loads((await cursor.fetchone() or ["[]"])[0])
        if function.is_void:
            return Answer(status=204)
        if function.is_set:
            return as_json(found)
        return as_json(found[0] if function.is_row else found[0]["result"])


def _failure(status: int, code: str, message: str, details: str | None = None) -> Failure:
    return Failure(status, {"code": code, "details": details, "hint": None, "message": message})


def _of_postgres(error: psycopg.Error, caller: Caller) -> Failure:
    state = error.sqlstate or "XX000"
    status = _STATUS.get(state) or _STATUS.get(state[:2]) or 400
    if state == "42501":
        status = 401 if caller.role == "anon" else 403
    about = error.diag
    return Failure(
        status,
        {
            "code": state,
            "details": about.message_detail,
            "hint": about.message_hint,
            "message": about.message_primary or "",
        },
    )


def _prefer(request: Request) -> dict[str, str]:
    given = [one.strip() for line in request.headers.getlist("prefer") for one in line.split(",")]
    return dict(one.split("=", 1) for one in given if "=" in one)


def _unsupported(what: str) -> Failure:
    return _failure(400, "PGRST100", f"The simulator's stand-in for PostgREST does not have {what}")


def _columns(text: str) -> pgsql.Composable:
    if "(" in text:
        raise _unsupported("embedding or aggregates")
    made: list[pgsql.Composable] = []
    for one in text.split(","):
        if one.strip() in ("*", ""):
            made.append(pgsql.SQL("*"))
            continue
        alias, _, rest = one.strip().rpartition(":") if "::" not in one else ("", "", one.strip())
        name, _, cast = rest.partition("::")
        column: pgsql.Composable = pgsql.Identifier(name)
        if cast:
            column = pgsql.SQL("CAST({} AS {})").format(column, pgsql.Identifier(cast))
        made.append(pgsql.SQL("{} AS {}").format(column, pgsql.Identifier(alias or name)))
    return pgsql.SQL(", ").join(made)


def _order(text: str) -> list[pgsql.Composable]:
    made: list[pgsql.Composable] = []
    for one in text.split(","):
        name, *how = one.split(".")
        words = {"asc": "ASC", "desc": "DESC", "nullsfirst": "NULLS FIRST", "nullslast": "NULLS LAST"}
        made.append(
            pgsql.SQL("{} {}").format(
                pgsql.Identifier(name),
                pgsql.SQL(" ".join(words[word] for word in how if word in words)),
            )
        )
    return made


def _where(request: Request, *, table: str | None = None) -> pgsql.Composable:
    made: list[pgsql.Composable] = []
    for name, value in request.query_params.multi_items():
        if name in _RESERVED:
            continue
        if name in ("or", "and", "not.or", "not.and") or "." in name:
            raise _unsupported(f"the filter {name}")
        column = pgsql.Identifier(table, name) if table else pgsql.Identifier(name)
        made.append(_filter(column, value))
    return pgsql.SQL(" WHERE {}").format(pgsql.SQL(" AND ").join(made)) if made else pgsql.SQL("")


def _filter(column: pgsql.Composable, text: str) -> pgsql.Composable:
    operator, _, value = text.partition(".")
    if operator == "not":
        return pgsql.SQL("NOT ({})").format(_filter(column, value))
    if operator == "is":
        if value not in ("null", "true", "false", "unknown"):
            raise _failure(400, "PGRST100", f"failed to parse filter ({text})")
        return pgsql.SQL("{} IS {}").format(column, pgsql.SQL(value.upper()))
    if operator == "in":
        values = [pgsql.Literal(one.strip('"')) for one in value.strip("()").split(",")]
        return pgsql.SQL("{} IN ({})").format(column, pgsql.SQL(", ").join(values))
    if operator not in _OPERATORS:
        raise _failure(400, "PGRST100", f"failed to parse filter ({text})")
    if operator in ("like", "ilike"):
        value = value.replace("*", "%")
    sign = pgsql.SQL(_OPERATORS[operator])
    return pgsql.SQL("{} {} {}").format(column, sign, pgsql.Literal(value))


def _insert(
    table: pgsql.Composable,
    keys: list[str],
    given: list[dict[str, Any]],
    on_conflict: str | None,
    resolution: str | None,
) -> pgsql.Composed:
    names = pgsql.SQL(", ").join(pgsql.Identifier(key) for key in keys)
    made = pgsql.SQL("INSERT INTO {0} ({1}) SELECT {1} FROM json_populate_recordset(NULL::{0}, {2})").format(
        table, names, pgsql.Literal(json.dumps(given))
    )
    if resolution is None:
        return made
    target = pgsql.SQL(", ").join(pgsql.Identifier(one) for one in (on_conflict or "id").split(","))
    if resolution == "ignore-duplicates":
        return pgsql.SQL("{} ON CONFLICT ({}) DO NOTHING").format(made, target)
    sets = pgsql.SQL(", ").join(pgsql.SQL("{0} = excluded.{0}").format(pgsql.Identifier(key)) for key in keys)
    return pgsql.SQL("{} ON CONFLICT ({}) DO UPDATE SET {}").format(made, target, sets)
