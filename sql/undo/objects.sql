-- What a restore of these schemas makes anew, and rows can name: relations, functions, types.
SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = ANY (%(schemas)s::text[])
UNION ALL
SELECT p.oid FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname = ANY (%(schemas)s::text[])
UNION ALL
SELECT t.oid FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace WHERE n.nspname = ANY (%(schemas)s::text[])
