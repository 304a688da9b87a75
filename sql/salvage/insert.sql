-- All rows that wait, at once.
{insert} ORDER BY s.line ON CONFLICT DO NOTHING
