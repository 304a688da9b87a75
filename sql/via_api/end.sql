-- The last look before COMMIT: the files have left the history rows there, and nobody waits in vain.
DO $deploy_agent$
BEGIN
  IF (SELECT count(*) FROM supabase_migrations.schema_migrations WHERE version = ANY (%(versions)s::text[]))
    <> cardinality(%(versions)s::text[]) THEN
    RAISE EXCEPTION USING ERRCODE = 'DA011', MESSAGE = 'the migrations have removed their own rows from the history';
  END IF;
  IF extract(epoch FROM clock_timestamp()) > %(until)s::numeric THEN
    RAISE EXCEPTION USING ERRCODE = 'DA012', MESSAGE = 'the migrations took longer than a request to the platform may';
  END IF;
END
$deploy_agent$
