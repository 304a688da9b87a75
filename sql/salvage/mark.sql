-- Give the staged rows that the table has a state. A row that is staged twice must be there twice.
UPDATE {stage} AS marked SET state = %(to)s
FROM (
  SELECT one.line, one.content, row_number() OVER (PARTITION BY one.content ORDER BY one.open, one.line) AS number
  FROM (
    SELECT s.line, s.state IS NOT DISTINCT FROM %(since)s AS open, {staged} AS content
    FROM {stage} AS s
    WHERE s.state IS NOT DISTINCT FROM %(since)s OR s.state IN ('there', 'inserted', 'overwritten')
  ) AS one
) AS wanted
JOIN (
  SELECT {present} AS content, count(*) AS number
  FROM ONLY {table} AS t
  GROUP BY 1
) AS found ON found.content = wanted.content AND wanted.number <= found.number
WHERE marked.line = wanted.line AND marked.state IS NOT DISTINCT FROM %(since)s
