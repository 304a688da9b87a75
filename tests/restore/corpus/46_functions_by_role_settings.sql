-- Why: languages of the application's functions, transforms and settings at function, role and database level meet.
-- Wild: PostgREST settings on role authenticator are common.
-- [before]
ALTER ROLE authenticator SET pgrst.db_schemas = 'public, api';
CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('app.x', true) $$;
-- [migration]
ALTER ROLE authenticator SET pgrst.db_schemas = 'public';
ALTER FUNCTION public.f() SET work_mem = '8MB';
