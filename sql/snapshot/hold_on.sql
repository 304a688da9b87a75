-- From here on locks can be let go of: see let_go.
SAVEPOINT deploy_agent_read
