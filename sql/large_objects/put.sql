-- In a restore's transaction: large objects go, are made again under their OIDs, or get back owner, rights and comment.
-- One that is no longer as it was when it was looked at (`about`, `content`) has been changed by others, and stays; so does
-- one whose owner we cannot act for. The comparison names them. Nobody can be locked out of a large object: what others
-- write between this look and the next statement is lost, unless it changes a page that we write, which fails.
DO $large$
DECLARE
  me CONSTANT text := current_user;
  one record;
  there record;
  wanted record;
  piece record;
  allowed record;
BEGIN
  FOR one IN
    SELECT * FROM json_to_recordset(%(goals)s::json) AS goal (oid oid, unlink boolean, make boolean, about text, content text)
  LOOP
    SELECT d.about, d.content, m.lomowner, m.lomacl INTO there
    FROM ({digests}) AS d JOIN pg_largeobject_metadata AS m ON m.oid = d.oid WHERE d.oid = one.oid;
    CONTINUE WHEN there.about IS DISTINCT FROM one.about OR (one.about IS NOT NULL AND there.content <> one.content);
    BEGIN
      IF one.unlink THEN
        EXECUTE format('SET LOCAL ROLE %%I', pg_get_userbyid(there.lomowner));
        PERFORM lo_unlink(one.oid);
        EXECUTE format('SET LOCAL ROLE %%I', me);
        CONTINUE WHEN NOT one.make;
      END IF;
      SELECT owner, acl::aclitem[] AS acl, comment INTO STRICT wanted
      FROM supabase_migrations.deploy_agent_large WHERE oid = one.oid AND at = 0;
      IF one.make THEN
        PERFORM lo_create(one.oid);
        FOR piece IN SELECT at, content FROM supabase_migrations.deploy_agent_large WHERE oid = one.oid ORDER BY at LOOP
          PERFORM lo_put(one.oid, piece.at, piece.content);
        END LOOP;
      END IF;
      EXECUTE format('ALTER LARGE OBJECT %%s OWNER TO %%I', one.oid, wanted.owner);
      SELECT lomowner, lomacl INTO there.lomowner, there.lomacl FROM pg_largeobject_metadata WHERE oid = one.oid;
      EXECUTE format('SET LOCAL ROLE %%I', wanted.owner);
      IF wanted.acl IS DISTINCT FROM there.lomacl THEN
        FOR allowed IN SELECT DISTINCT grantee FROM aclexplode(coalesce(there.lomacl, acldefault('L', there.lomowner))) LOOP
          EXECUTE format('REVOKE ALL ON LARGE OBJECT %%s FROM %%s CASCADE', one.oid,
            CASE allowed.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(allowed.grantee)) END);
        END LOOP;
        FOR allowed IN
          SELECT * FROM aclexplode(coalesce(wanted.acl, acldefault('L', there.lomowner))) WITH ORDINALITY AS a
          ORDER BY a.grantor = there.lomowner DESC, a.ordinality
        LOOP
          EXECUTE format('SET LOCAL ROLE %%I', pg_get_userbyid(allowed.grantor));
          EXECUTE format('GRANT %%s ON LARGE OBJECT %%s TO %%s%%s', allowed.privilege_type, one.oid,
            CASE allowed.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(allowed.grantee)) END,
            CASE WHEN allowed.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
        END LOOP;
        EXECUTE format('SET LOCAL ROLE %%I', wanted.owner);
      END IF;
      IF wanted.comment IS DISTINCT FROM obj_description(one.oid, 'pg_largeobject') THEN
        EXECUTE format('COMMENT ON LARGE OBJECT %%s IS %%L', one.oid, wanted.comment);
      END IF;
      EXECUTE format('SET LOCAL ROLE %%I', me);
    EXCEPTION WHEN insufficient_privilege OR undefined_object THEN
      NULL;  -- it is as it was
    END;
  END LOOP;
  DROP TABLE IF EXISTS supabase_migrations.deploy_agent_large;
END
$large$
