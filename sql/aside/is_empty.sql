-- Whether a table of Supabase's own is there, may be filled by us, and has no row.
SELECT NOT EXISTS (SELECT FROM {table}) AS empty
