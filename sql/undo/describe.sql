-- Objects by name: {"classid": …, "objid": …, "objsubid": …} each, as JSON.
SELECT DISTINCT pg_describe_object(o.classid, o.objid, o.objsubid) AS name
FROM jsonb_to_recordset(%(objects)s::jsonb) AS o (classid oid, objid oid, objsubid integer)
ORDER BY 1
