-- What a snapshot asks of an object in objects.sql: core.catalog.digest has the same sum.
o.identity, o.classid, o.objid, o.objsubid,
md5(concat_ws(E'\n', o.definition, nullif(array_to_string(list.settings, E'\n'), ''))) AS digest
