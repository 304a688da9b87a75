-- An application that uses most of what Postgres and Supabase have.
CREATE EXTENSION IF NOT EXISTS pg_cron WITH SCHEMA pg_catalog;
CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN public.email AS text CHECK (VALUE ~ '@');
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE TABLE public.profiles (
    id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE,
    handle text NOT NULL UNIQUE,
    mail public.email,
    mood public.mood DEFAULT 'ok',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz
);
COMMENT ON TABLE public.profiles IS 'One row a person; it''s theirs';
COMMENT ON COLUMN public.profiles.handle IS 'without the @';
CREATE TABLE public.artists (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, best_album int);
CREATE TABLE public.albums (
    id serial PRIMARY KEY,
    artist_id int NOT NULL REFERENCES public.artists (id) ON DELETE CASCADE,
    title text NOT NULL CHECK (length(title) > 0),
    price numeric(10, 2),
    tax numeric GENERATED ALWAYS AS (price * 0.2) STORED,
    tags text[],
    details jsonb
);
ALTER TABLE public.artists ADD CONSTRAINT artists_best_fkey FOREIGN KEY (best_album) REFERENCES public.albums (id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE public.albums ADD CONSTRAINT albums_price_positive CHECK (price > 0) NOT VALID;
CREATE INDEX albums_title_idx ON public.albums (lower(title));
CREATE STATISTICS public.albums_stats ON artist_id, price FROM public.albums;
CREATE TABLE public.events (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE public.events_2026 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE public.events_old PARTITION OF public.events DEFAULT;
CREATE TABLE public."Odd ""Name""" ("a b" int, "c;d" text);
CREATE TRIGGER touch BEFORE UPDATE ON public.profiles FOR EACH ROW EXECUTE FUNCTION public.touch();
CREATE VIEW public.titles WITH (security_invoker = true) AS SELECT a.id, a.title, r.name FROM public.albums a JOIN public.artists r ON r.id = a.artist_id;
CREATE MATERIALIZED VIEW public.totals AS SELECT artist_id, count(*) AS albums FROM public.albums GROUP BY 1;
CREATE UNIQUE INDEX totals_key ON public.totals (artist_id);
CREATE MATERIALIZED VIEW public.never AS SELECT 1 AS one WITH NO DATA;
CREATE FUNCTION public.add(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE PROCEDURE public.nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE public.total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
CREATE OPERATOR public.<+> (LEFTARG = int, RIGHTARG = int, FUNCTION = public.add);
CREATE SEQUENCE public.tickets START 100 INCREMENT 5;
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
CREATE POLICY "own profile" ON public.profiles FOR ALL TO authenticated USING (auth.uid() = id) WITH CHECK (auth.uid() = id);
CREATE POLICY readable ON public.profiles FOR SELECT TO anon, authenticated USING (true);
REVOKE ALL ON public.artists FROM anon;
GRANT SELECT (name) ON public.artists TO anon;
REVOKE EXECUTE ON FUNCTION public.add(int, int) FROM PUBLIC, anon;

CREATE SCHEMA billing;
GRANT USAGE ON SCHEMA billing TO service_role, authenticated;
COMMENT ON SCHEMA billing IS 'money';
CREATE TABLE billing.invoices (id bigint PRIMARY KEY, profile uuid REFERENCES public.profiles (id), total numeric NOT NULL);
ALTER DEFAULT PRIVILEGES IN SCHEMA billing GRANT SELECT ON TABLES TO service_role;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

CREATE FUNCTION public.new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN INSERT INTO public.profiles (id, handle) VALUES (NEW.id, 'user-' || right(NEW.id::text, 8)); RETURN NEW; END $$;
CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.new_user();
CREATE FUNCTION public.owns(path text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT split_part(path, ''/'', 1) = auth.uid()::text';
CREATE POLICY "owner reads" ON storage.objects FOR SELECT TO authenticated USING (bucket_id = 'media' AND public.owns(name));
CREATE POLICY "anyone reads public" ON storage.objects AS PERMISSIVE FOR SELECT USING (bucket_id = 'public');
CREATE POLICY "owner writes" ON storage.objects FOR INSERT TO authenticated WITH CHECK (EXISTS (SELECT FROM public.profiles p WHERE p.id = auth.uid()));
ALTER PUBLICATION supabase_realtime ADD TABLE public.albums;
ALTER PUBLICATION supabase_realtime ADD TABLE public.profiles (id, handle);
ALTER PUBLICATION supabase_realtime ADD TABLE billing.invoices WHERE (total > 0);
SELECT cron.schedule('refresh', '*/5 * * * *', 'REFRESH MATERIALIZED VIEW public.totals');

INSERT INTO auth.users (id, email) SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'u' || n || '@example.com' FROM generate_series(1, 50) n;
INSERT INTO public.artists (name) SELECT 'artist ' || n FROM generate_series(1, 20) n;
INSERT INTO public.albums (artist_id, title, price, tags, details) SELECT 1 + n % 20, 'album ' || n || E' \\ tab\t', n + 0.5, ARRAY['a', NULL, 'c,d'], jsonb_build_object('n', n) FROM generate_series(1, 500) n;
UPDATE public.artists SET best_album = id;
INSERT INTO public.events SELECT '2025-12-01'::timestamptz + n * interval '1 day', 'e' || n FROM generate_series(1, 100) n;
INSERT INTO public."Odd ""Name""" VALUES (1, 'x'), (NULL, E'two\nlines');
INSERT INTO billing.invoices SELECT n, ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, n FROM generate_series(1, 50) n;
SELECT nextval('public.tickets'), nextval('public.tickets');
REFRESH MATERIALIZED VIEW public.totals;

CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
INSERT INTO supabase_migrations.schema_migrations VALUES ('20260101000000', ARRAY['SELECT ''it''''s'' \ :x', 'SELECT 2'], 'base'), ('20260102000000', NULL, NULL);
