-- One check before COMMIT: what does not hold ends the transaction, and tells the first rows.
DO {tag}
#variable_conflict use_column
DECLARE
  deploy_agent_held boolean;
  deploy_agent_seen text;
BEGIN
  WITH deploy_agent_rows AS MATERIALIZED (
{query}
  )
  SELECT
    {holds},
    (SELECT coalesce(string_agg(to_json(few)::text, ', '), 'no rows') FROM (SELECT * FROM deploy_agent_rows LIMIT 3) AS few)
  INTO deploy_agent_held, deploy_agent_seen;
  IF deploy_agent_held IS NOT TRUE THEN
    RAISE EXCEPTION USING ERRCODE = 'DA013', MESSAGE = {id}, DETAIL = deploy_agent_seen;
  END IF;
END
{tag}
