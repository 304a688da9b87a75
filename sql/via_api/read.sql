-- All rows of a query in one value: as the API itself would write them, types get lost.
SELECT coalesce(json_agg(to_json(one)), '[]')::text AS rows FROM (
{query}
) AS one
