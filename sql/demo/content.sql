-- Rows and content of one table, as psql would show them; written for the demo, apart from what the agent compares.
SELECT count(*) AS rows, md5(coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '')) AS digest FROM {table} AS t
