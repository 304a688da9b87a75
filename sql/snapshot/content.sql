-- A table's content in two numbers. Sum and count, not xor: doubled rows cancel in xor.
-- `{columns}` is put in as text that sql/snapshot/tables.sql made with format('%I').
SELECT count(*) AS rows, coalesce(sum(hash_record_extended(ROW({columns}), 0)), 0)::text AS hash FROM ONLY {table}
