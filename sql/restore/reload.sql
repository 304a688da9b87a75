-- PostgREST learns of the schema once the transaction commits (one script).
NOTIFY pgrst, 'reload schema';
