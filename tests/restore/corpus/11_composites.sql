-- Why: composite types in columns and arrays, of which one is a table's own row type, and functions that return them.
-- Wild: typed RPC results.
-- [before]
CREATE TYPE public.address AS (street text, "Zip Code" varchar(10), geo point);
COMMENT ON COLUMN public.address."Zip Code" IS 'five digits';
CREATE TABLE public.items (id int PRIMARY KEY, name text, price numeric);
CREATE TABLE public.carts (id int PRIMARY KEY, ship public.address, past public.address[], content public.items[], one public.items);
CREATE FUNCTION public.cart_items(c public.carts) RETURNS SETOF public.items LANGUAGE sql STABLE AS 'SELECT unnest(c.content)';
CREATE FUNCTION public.two() RETURNS TABLE (a public.address, b int) LANGUAGE sql AS $$ SELECT NULL::public.address, 1 $$;
CREATE VIEW public.streets AS SELECT id, (ship).street, (one).price FROM public.carts;
INSERT INTO public.items VALUES (1, 'pen, "blue"', 1.50), (2, NULL, 'NaN');
INSERT INTO public.carts SELECT 1, ROW('Main (1)', '123', '(1,2)')::public.address, ARRAY[ROW('a', NULL, NULL)::public.address, NULL],
  (SELECT array_agg(i) FROM public.items i), (SELECT i FROM public.items i LIMIT 1);
-- [migration]
ALTER TYPE public.address ADD ATTRIBUTE country text CASCADE;
ALTER TYPE public.address RENAME ATTRIBUTE street TO road CASCADE;
ALTER TABLE public.items ADD COLUMN stock int;
-- [migration]
ALTER TYPE public.address DROP ATTRIBUTE geo CASCADE;
UPDATE public.carts SET past = NULL;
DROP FUNCTION public.cart_items(public.carts);
