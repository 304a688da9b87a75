-- Why: rows and defaults hold tables and functions by OID; what is made again has another OID, under the same name.
-- Wild: audit tables (supa_audit), partition managers, job queues.
-- [before]
CREATE TABLE public.watched (id int PRIMARY KEY);
CREATE FUNCTION public.hook(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE public.kind AS ENUM ('a');
CREATE TABLE public.config (entity regclass PRIMARY KEY, callback regprocedure, kind regtype, place regnamespace, more regclass[]);
INSERT INTO public.config VALUES ('public.watched', 'public.hook(int)', 'public.kind', 'public', '{public.watched,auth.users}');
CREATE FUNCTION public.watch(t regclass DEFAULT 'public.watched') RETURNS oid LANGUAGE sql RETURN t;
CREATE VIEW public.which AS SELECT 'public.watched'::regclass AS entity;
-- [migration]
DROP VIEW public.which;
DROP FUNCTION public.watch(regclass);
DROP TABLE public.watched;
DROP FUNCTION public.hook(int);
-- [migration]
CREATE TABLE public.watched (id text);
