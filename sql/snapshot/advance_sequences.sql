-- Set sequences that stand lower than they did forward to where they were: {"schema.name": number} as JSON.
SELECT setval(s.name::regclass, s.value)
FROM jsonb_each_text(%(values)s::jsonb) AS wanted (name, value)
CROSS JOIN LATERAL (SELECT wanted.name, wanted.value::bigint AS value) AS s
LEFT JOIN pg_sequences AS q ON format('%%I.%%I', q.schemaname, q.sequencename) = s.name
WHERE s.value > coalesce(q.last_value, 0) AND to_regclass(s.name) IS NOT NULL
