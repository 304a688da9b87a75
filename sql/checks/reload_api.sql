-- Ask PostgREST to read the schema anew (PostgREST documentation, "Schema Cache Reloading with NOTIFY").
NOTIFY pgrst, 'reload schema'
