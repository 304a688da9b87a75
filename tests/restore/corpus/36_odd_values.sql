-- Why: values with no ordinary text: NaN and infinity of each type, negative zero, the smallest floats, equal numerics and
--   intervals that are written differently, years before Christ, arrays with other bounds, doubled rows, a table with no key.
-- Wild: NaN prices; 'infinity' as "no end".
-- [before]
CREATE TABLE public.odd (n numeric, f double precision, r real, t timestamptz, d date, i interval, j json, b jsonb, bits bit varying, c char(5), m money, nums int[], words text[], net inet, v tsvector, q tsquery, p path, u uuid, e "char", z timetz, l pg_lsn, jp jsonpath, nm name, rc regclass, rp regprocedure, rt regtype, ro regrole, two text[][]);
INSERT INTO public.odd (n, f, r, t, d, i) VALUES
  ('NaN', 'NaN', 'NaN', 'infinity', 'infinity', 'infinity'), ('Infinity', '-Infinity', 'Infinity', '-infinity', '-infinity', '-infinity'),
  ('-Infinity', '-0', '-0', '0044-03-15 12:00:00 BC', '4713-01-01 BC', '1 mon'), (1.0, 5e-324, 1e-45, '294276-12-31', '5874897-12-31', '30 days'),
  (1.00, 0.1, 0.1, now(), 'today', '-1 days +02:03:04.000001'), (1e-300, 1.7976931348623157e308, 3.4e38, NULL, NULL, '720 hours');
INSERT INTO public.odd (j, b, bits, c, m, nums, words, net, v, q, p, u, e, z, l, jp, nm) VALUES
  ('{"a": 1,  "a":2}', '{"a": 1.0, "b": 1.00}', B'0101', 'a', 12.34, '[2:4]={1,2,NULL}', '{"a,b","NULL",NULL,"{","\"",""}', '::1/64', '''a'':1A b:2', 'a & !b <-> c', '[(1,2),(3,4)]', gen_random_uuid(), 'x', '12:00:00+05:30', '16/B374D848', '$.a[*] ? (@ > 1)', 'a name'),
  ('null', 'null', B'', '', '-1', '{}', '{}', '10.0.0.0/8', '', '', '((0,0))', NULL, '', '24:00:00-15:59', '0/0', 'strict $', '');
INSERT INTO public.odd (rc, rp, rt, ro, two) VALUES ('public.odd', 'pg_catalog.lower(text)', 'public.odd', 'anon', '{{a,b},{c,NULL}}');
CREATE TABLE public.twice (a int);
INSERT INTO public.twice VALUES (1), (1), (NULL), (NULL), (2);
CREATE TABLE public.keyed (k double precision PRIMARY KEY, n numeric UNIQUE);
INSERT INTO public.keyed VALUES ('NaN', 'NaN'), ('-0', 1.10), ('Infinity', 'Infinity');
-- [migration]
UPDATE public.odd SET n = 1.000 WHERE n = 1.0;
UPDATE public.odd SET i = '30 days' WHERE i = '1 mon';
UPDATE public.odd SET f = 0 WHERE f = 0;
DELETE FROM public.twice WHERE ctid = '(0,1)';
UPDATE public.odd SET j = '{"a": 1, "a":2}' WHERE j::text LIKE '{%';
-- [migration]
UPDATE public.keyed SET n = 1.1, k = 0 WHERE k = 0;
ALTER TABLE public.odd ALTER COLUMN c TYPE varchar(5);
INSERT INTO public.twice VALUES (2);
