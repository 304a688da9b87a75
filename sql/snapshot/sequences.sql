-- Where each sequence stands; null: never used, or not readable. Only those that go up, and never begin again.
SELECT format('%%I.%%I', schemaname, sequencename) AS name, last_value
FROM pg_sequences
WHERE schemaname = ANY (%(schemas)s::text[]) AND increment_by > 0 AND NOT cycle
ORDER BY 1
