-- How much a backup has to read: tables with TOAST, without indexes.
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint AS bytes
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname = ANY (%(schemas)s::text[])
