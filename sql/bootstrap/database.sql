-- Owner and grants of one database; {database} is its quoted name. Not copied by CREATE DATABASE … TEMPLATE, so run after it too.
ALTER DATABASE {database} OWNER TO postgres;
GRANT ALL ON DATABASE {database} TO dashboard_user;
GRANT CREATE ON DATABASE {database} TO supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin;
