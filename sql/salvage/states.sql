-- What became of the rows of one table.
SELECT s.state, count(*) AS rows, (array_agg(DISTINCT s.reason) FILTER (WHERE s.reason IS NOT NULL))[1:5] AS reasons
FROM {stage} AS s GROUP BY s.state
