-- Why: sequences that go down, and ones that begin again at their end: that one was set back is another comparison.
-- Wild: negative ids for drafts.
-- [before]
CREATE SEQUENCE public.down INCREMENT -1 START -7;
CREATE SEQUENCE public.again AS smallint MAXVALUE 5 CYCLE;
SELECT nextval('public.down'), nextval('public.down'), nextval('public.again'), nextval('public.again');
CREATE TABLE public.t (id int DEFAULT nextval('public.down'));
-- [migration]
ALTER SEQUENCE public.down RESTART;
SELECT setval('public.again', 1, false);
ALTER TABLE public.t ADD COLUMN body text;
