-- Where each sequence stands; null: never used, or not readable.
SELECT format('%%I.%%I', schemaname, sequencename) AS name, last_value
FROM pg_sequences
WHERE schemaname = ANY (%(schemas)s::text[])
ORDER BY 1
