-- Why: functions and views of the application read the vault, whose rows are in no backup.
-- Wild: vault for keys of Edge Functions.
-- [before]
SELECT vault.create_secret('s3cret', 'service key', 'for functions');
CREATE FUNCTION public.service_key() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS
$$ SELECT decrypted_secret FROM vault.decrypted_secrets WHERE name = 'service key' $$;
CREATE VIEW public.secret_names WITH (security_invoker) AS SELECT name, created_at FROM vault.secrets;
GRANT SELECT ON public.secret_names TO service_role;
-- [migration]
DROP VIEW public.secret_names;
CREATE OR REPLACE FUNCTION public.service_key() RETURNS text LANGUAGE sql AS 'SELECT ''''';
-- [migration]
DROP FUNCTION public.service_key();
CREATE TABLE public.keys AS SELECT name FROM vault.secrets;
