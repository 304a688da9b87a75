-- Why: realtime.subscription holds tables of the application as regclass: their OIDs, which a table made again does not keep.
-- Wild: every project with a connected Realtime client.
-- Loses (rung 4): altered: rows of realtime.subscription
-- [before]
CREATE TABLE public.messages (id bigint PRIMARY KEY, body text);
-- [before as supabase_admin]
INSERT INTO realtime.subscription (subscription_id, entity, claims)
VALUES ('22222222-2222-4222-8222-222222222222', 'public.messages', '{"role": "anon"}');
-- [migration]
ALTER TABLE public.messages ADD COLUMN sender text;
