"""Schemas that belong to Supabase, not to the application.

Source: the exclusion list of `supabase db dump`, Supabase CLI 3.1.0.
"""

from __future__ import annotations

MANAGED_SCHEMAS: tuple[str, ...] = (
    "_analytics",
    "_realtime",
    "_supavisor",
    "auth",
    "cron",
    "dbdev",
    "etl",
    "extensions",
    "graphql",
    "graphql_public",
    "net",
    "pgbouncer",
    "pgmq",
    "pgsodium",
    "pgsodium_masks",
    "pgtle",
    "realtime",
    "repack",
    "storage",
    "supabase_functions",
    "supabase_migrations",
    "tiger",
    "tiger_data",
    "topology",
    "vault",
)

TEMPORARY_LOGINS = "cli_login_"
"""What the names of roles begin with that the platform makes for a while; they inherit nothing (`cli/login-role`)."""
