-- The first rows of what a cursor is for: no cursor outlives a request.
SELECT * FROM (
{query}
) AS cursor LIMIT {rows}
