-- What a snapshot asks of the objects in objects.sql, as one row of lists in the same order: a row for each of many
-- objects takes more memory than what it says. The digest: core.catalog.digest has the same sum. `inside`: it belongs to
-- the schemas of that parameter, or to none.
array_agg(o.identity) AS identities,
array_agg(md5(concat_ws(E'\n', o.definition, nullif(array_to_string(list.settings, E'\n'), '')))) AS digests,
array_agg(o.namespace IS NULL OR o.namespace IN (SELECT oid FROM app WHERE inside)) AS inside
