-- Whether a query returns a row at all.
FETCH 1 FROM deploy_agent_check
