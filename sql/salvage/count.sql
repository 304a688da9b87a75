-- How many rows of one table would be kept.
SELECT count(*) FILTER (WHERE saved.kind = 'a') AS application, count(*) FILTER (WHERE saved.kind = 'u') AS unclear
FROM (
{rows}
) AS saved
