-- What a snapshot asks of an object in objects.sql: core.catalog.digest has the same sum. `inside`: it belongs to
-- the schemas of that parameter, or to none.
o.identity,
md5(concat_ws(E'\n', o.definition, nullif(array_to_string(list.settings, E'\n'), ''))) AS digest,
o.namespace IS NULL OR o.namespace IN (SELECT oid FROM app WHERE inside) AS inside
