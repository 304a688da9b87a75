-- Delete the rows that `api_rows` counts: what an API has let in that should have been refused.
WITH wanted AS (
  SELECT key, to_jsonb(filled) -> key AS value
  FROM jsonb_populate_record(NULL::{table}, %(row)s::jsonb) AS filled, jsonb_object_keys(%(row)s::jsonb) AS key
)
DELETE FROM {table} AS found
WHERE NOT EXISTS (
  SELECT FROM wanted
  WHERE NOT to_jsonb(found) ? wanted.key OR to_jsonb(found) -> wanted.key IS DISTINCT FROM wanted.value
)
