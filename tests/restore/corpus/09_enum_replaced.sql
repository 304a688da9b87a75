-- Why: the usual way to take an enum's value away: a new type, every column changed to it, the old one dropped.
-- Wild: common recipe; old and new type have one name, one after the other.
-- [before]
CREATE TYPE public.role AS ENUM ('owner', 'admin', 'guest');
COMMENT ON TYPE public.role IS 'who';
CREATE TABLE public.people (id serial PRIMARY KEY, role public.role DEFAULT 'guest', roles public.role[]);
CREATE VIEW public.admins AS SELECT id FROM public.people WHERE role = 'admin';
CREATE FUNCTION public.is_admin(r public.role) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT r = 'admin' $$;
INSERT INTO public.people (role, roles) VALUES ('owner', '{owner,guest}'), ('admin', '{}'), (NULL, NULL);
-- [migration]
DROP VIEW public.admins;
DROP FUNCTION public.is_admin(public.role);
ALTER TYPE public.role RENAME TO role_old;
CREATE TYPE public.role AS ENUM ('admin', 'guest', 'owner', 'robot');
ALTER TABLE public.people ALTER COLUMN role DROP DEFAULT;
ALTER TABLE public.people ALTER COLUMN role TYPE public.role USING role::text::public.role;
ALTER TABLE public.people ALTER COLUMN role SET DEFAULT 'robot';
ALTER TABLE public.people ALTER COLUMN roles TYPE public.role[] USING roles::text[]::public.role[];
DROP TYPE public.role_old;
-- [migration]
CREATE VIEW public.admins AS SELECT id, role FROM public.people WHERE role = 'admin';
INSERT INTO public.people (role) VALUES ('robot');
