-- The next objects.
FETCH 500 FROM deploy_agent_objects
