-- Why: foreign servers, user mappings and foreign tables; a foreign table has no rows of its own and a server is in no schema.
-- Wild: Supabase Wrappers (Stripe, Airtable), postgres_fdw to another project.
-- [before as supabase_admin]
CREATE EXTENSION postgres_fdw WITH SCHEMA extensions;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO postgres;
-- [before]
CREATE SERVER other TYPE 'pg' VERSION '17' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'x');
COMMENT ON SERVER other IS 'another';
CREATE USER MAPPING FOR postgres SERVER other OPTIONS (user 'me', password 'not a secret');
GRANT USAGE ON FOREIGN SERVER other TO service_role;
CREATE SCHEMA stripe;
CREATE FOREIGN TABLE stripe.customers (id text OPTIONS (column_name 'ID') NOT NULL, made timestamptz DEFAULT now(), CHECK (id <> '')) SERVER other OPTIONS (schema_name 's', table_name 't''s');
ALTER FOREIGN TABLE stripe.customers ALTER COLUMN made SET STATISTICS 5;
COMMENT ON FOREIGN TABLE stripe.customers IS 'theirs';
GRANT SELECT ON stripe.customers TO authenticated;
CREATE TABLE stripe.parted (id text, made timestamptz) PARTITION BY LIST (id);
CREATE FOREIGN TABLE stripe.parted_x PARTITION OF stripe.parted FOR VALUES IN ('x') SERVER other;
CREATE VIEW public.customers AS SELECT id FROM stripe.customers;
-- [migration]
DROP FOREIGN TABLE stripe.customers CASCADE;
CREATE FOREIGN TABLE stripe.more (id int) SERVER other;
ALTER FOREIGN TABLE stripe.parted_x OPTIONS (table_name 'y');
