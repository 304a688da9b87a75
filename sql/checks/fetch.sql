-- The first rows of a check's query, and one more to know whether there are more than are looked at.
FETCH 1001 FROM deploy_agent_check
