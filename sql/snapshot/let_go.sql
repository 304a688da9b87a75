-- Lets go of the locks that reading took since hold_on: they stay until a transaction ends or is rolled back so far.
ROLLBACK TO SAVEPOINT deploy_agent_read
