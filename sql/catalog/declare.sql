-- Read what follows some rows at a time.
DECLARE deploy_agent_objects NO SCROLL CURSOR FOR
