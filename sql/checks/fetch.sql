-- The first rows of a check's query. FETCH takes a number, not a parameter: the agent writes it in.
FETCH %(rows)s FROM deploy_agent_check
