-- What a backup, an undo and a diff ask of an object in objects.sql: core.catalog.CatalogObject.
o.identity, o.kind, o.classid, o.objid, o.objsubid, o.parent, o.definition, list.settings, o.foreign_key,
o.own_clear || ARRAY[
  'comment=' || says.comment_on || 'NULL',
  'label=' || (SELECT string_agg(format('SECURITY LABEL FOR %%I ON %%s %%s IS NULL', p.name, o.keyword, o.ref), E';\n')
    FROM unnest(label.providers) AS p (name)),
  'acl=' || CASE WHEN standard.revokes IS NOT NULL OR added.grants IS NOT NULL THEN
    concat_ws(E';\n', 'REVOKE ALL ON ' || says.granted_on || ' FROM ' || added.names || ' CASCADE', standard.grants) END
] AS clear,
coalesce(o.removal, format('DROP %%s IF EXISTS %%s', o.keyword, o.ref)) AS "drop",
o.creation || coalesce(E';\n' || says.comment_on || quote_literal(d.description), '') AS "create",
depends.refs AS needs
