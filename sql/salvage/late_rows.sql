-- The rows noted of one of them, as sql/salvage/rows.sql gives them.
SELECT kind{columns} FROM supabase_migrations.deploy_agent_late
WHERE salvage = %(salvage)s AND name = %(name)s AND columns = %(columns)s::text[]
ORDER BY number
