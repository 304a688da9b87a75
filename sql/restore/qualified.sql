-- A table's name as the manifest writes it.
SELECT format('%%I.%%I', %(schema)s::text, %(name)s::text) AS name
