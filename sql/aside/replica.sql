-- No trigger fires and no foreign key is looked at while the rows that a restore put into Supabase's tables go again.
SET session_replication_role = replica
