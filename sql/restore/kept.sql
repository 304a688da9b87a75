-- Functions of ours that event triggers call whose owner we cannot act for: to drop one takes its trigger along, and nobody
-- but that owner could make it again. They stay.
SELECT 'pg_proc'::regclass::oid::bigint AS classid, p.oid::bigint AS objid
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = ANY (%(schemas)s::text[])
  AND EXISTS (SELECT FROM pg_event_trigger AS e WHERE e.evtfoid = p.oid AND NOT pg_has_role(e.evtowner, 'USAGE'))
