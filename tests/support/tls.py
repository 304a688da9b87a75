"""A Postgres with TLS, and certificates: self-signed, for `localhost`, 127.0.0.1 and `db.agent.test`, made with

openssl ecparam -name prime256v1 -genkey -noout; openssl req -new -x509 -days 36500 -subj /CN=localhost
  -addext subjectAltName=DNS:localhost,DNS:db.agent.test,IP:127.0.0.1

The key protects nothing: it exists so that tests need no openssl program.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from agent.edges.embedded import EmbeddedPostgres
from tests.support.aside import run_aside

NAME = "db.agent.test"

KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIJiAuTRG2P+XZAyUZflfQbAOlwk5z9acPzBkFeMXHCmloAoGCCqGSM49
AwEHoUQDQgAEE7jM7LcuJqiEW6NYeOzhupuA1tNFGwrpK7H3kSBmRyISIIkdU9fX
ehlpzDbbmQTDkL4XCVWkGLHsC7G7kqktVA==
-----END EC PRIVATE KEY-----
"""

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBqzCCAVCgAwIBAgIUV055WykXd0/wJL5pAIQrtlL9EwowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA4MzgyNloYDzIxMjYxMDI5
MDgzODI2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQTuMzsty4mqIRbo1h47OG6m4DW00UbCukrsfeRIGZHIhIgiR1T19d6
GWnMNtuZBMOQvhcJVaQYsewLsbuSqS1Uo34wfDAdBgNVHQ4EFgQUDGhjLtHiT/jp
GU1mB0ixXrrrBDAwHwYDVR0jBBgwFoAUDGhjLtHiT/jpGU1mB0ixXrrrBDAwDwYD
VR0TAQH/BAUwAwEB/zApBgNVHREEIjAggglsb2NhbGhvc3SCDWRiLmFnZW50LnRl
c3SHBH8AAAEwCgYIKoZIzj0EAwIDSQAwRgIhAIUzQ+9vPAoiiGCh1mnpTDRjImLB
zspumqfZHC8u7AtiAiEAgNQVRFXM3MswkjM/ADjTRY8ylfaNKZxmkelrjCsJVCs=
-----END CERTIFICATE-----
"""

#: Of somebody else, who says to be the same.
OTHER_CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBqjCCAVCgAwIBAgIUYYz4A6807LaGNWBNGXFtRT+xHN4wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA4MzgyNloYDzIxMjYxMDI5
MDgzODI2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQWxK3sxVjtDWe/P4gXKIaWxmhUXZqa+cz5mUvvEsy/7WI6hZI/+3hB
IK0Je0MLBwnSS+6Q5bX01sZfj4KfBE8so34wfDAdBgNVHQ4EFgQUERcTmxyMMZL+
qNpzcmylD/IroUUwHwYDVR0jBBgwFoAUERcTmxyMMZL+qNpzcmylD/IroUUwDwYD
VR0TAQH/BAUwAwEB/zApBgNVHREEIjAggglsb2NhbGhvc3SCDWRiLmFnZW50LnRl
c3SHBH8AAAEwCgYIKoZIzj0EAwIDSAAwRQIhAILb2htGHfdVgG4J8SgB0urtVz1s
DanzSiUbczEmSpVBAiAN3YsoPVk3RlTP46dLraQBn/9kb0u1uH1FLIJuSyZktw==
-----END CERTIFICATE-----
"""


@contextmanager
def tls_postgres(hba: str) -> Iterator[EmbeddedPostgres]:
    """A server that offers TLS with `CERTIFICATE`; `hba`: its pg_hba.conf. Also a database `pooled`."""
    server = EmbeddedPostgres()
    run_aside(server.start())
    try:
        owner = server.data.stat()
        for name, text in (("server.key", KEY), ("server.crt", CERTIFICATE)):
            file = server.data / name
            file.write_text(text)
            file.chmod(0o600)
            os.chown(file, owner.st_uid, owner.st_gid)
        (server.data / "pg_hba.conf").write_text(hba)
        run_aside(_switch_on(server))
        yield server
    finally:
        run_aside(server.stop())


async def _switch_on(server: EmbeddedPostgres) -> None:
    async with await psycopg.AsyncConnection.connect(server.admin_url(), autocommit=True) as admin:
        await admin.execute("ALTER SYSTEM SET ssl = on")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.execute("CREATE DATABASE pooled OWNER postgres")
    async with asyncio.timeout(60):
        while not await _offers_tls(server.port):
            pass


async def _offers_tls(port: int) -> bool:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x00\x00\x00\x08\x04\xd2\x16\x2f")
    answer = await reader.read(1)
    writer.close()
    await writer.wait_closed()
    return answer == b"S"
