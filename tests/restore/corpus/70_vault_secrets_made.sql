-- Why: a secret that the deploy made lies in the vault, whose rows are in no backup, and can go again.
-- Wild: keys of cron jobs and Edge Functions, made by `vault.create_secret` in migrations.
-- [before]
SELECT vault.create_secret('s3cret', 'kept', 'stays as it is');
CREATE TABLE public.uses (secret uuid, note text);
INSERT INTO public.uses SELECT id, 'kept' FROM vault.secrets;
-- [migration]
SELECT vault.create_secret(gen_random_uuid()::text, 'new key', 'shared with a function');
INSERT INTO public.uses SELECT id, name FROM vault.secrets;
-- [migration]
DO $$ BEGIN
  IF NOT EXISTS (SELECT FROM vault.secrets WHERE name = 'newer key') THEN
    PERFORM vault.create_secret('hush', 'newer key');
  END IF;
EXCEPTION WHEN undefined_function THEN NULL;
END $$;
