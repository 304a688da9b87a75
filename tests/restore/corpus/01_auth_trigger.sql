-- Why: a trigger on auth.users calls a function of the application, so the function cannot be dropped alone.
-- Wild: 25 of 40 public projects.
-- [before]
CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE, handle text UNIQUE);
CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO public.profiles (id, handle) VALUES (NEW.id, NEW.email);
  RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION public.handle_new_user() FROM PUBLIC, anon;
CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
CREATE FUNCTION public.note_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CONSTRAINT TRIGGER on_change AFTER UPDATE OF email ON auth.users DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION public.note_change('with', 'arguments');
INSERT INTO auth.users (id, email)
SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'u' || n || '@example.com' FROM generate_series(1, 5) n;
-- [migration]
DROP TRIGGER on_auth_user_created ON auth.users;
DROP FUNCTION public.handle_new_user();
CREATE FUNCTION public.new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER a_new_one AFTER INSERT OR DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.new_user();
-- [migration]
DROP TRIGGER on_change ON auth.users;
CREATE TRIGGER on_change BEFORE UPDATE ON auth.users FOR EACH ROW EXECUTE FUNCTION public.note_change();
ALTER TABLE public.profiles DROP COLUMN handle, DROP CONSTRAINT profiles_id_fkey;
