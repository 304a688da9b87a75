-- What the tables held when the restore committed.
SELECT name, rows, hash FROM supabase_migrations.deploy_agent_proof
