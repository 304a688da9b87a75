-- How many rows of a table have all the columns of a JSON object, each read as the column's type.
WITH wanted AS (
  SELECT key, to_jsonb(filled) -> key AS value
  FROM jsonb_populate_record(NULL::{table}, %(row)s::jsonb) AS filled, jsonb_object_keys(%(row)s::jsonb) AS key
)
SELECT count(*) AS rows
FROM {table} AS found
WHERE NOT EXISTS (
  SELECT FROM wanted
  WHERE NOT to_jsonb(found) ? wanted.key OR to_jsonb(found) -> wanted.key IS DISTINCT FROM wanted.value
)
