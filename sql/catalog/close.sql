-- All objects were read.
CLOSE deploy_agent_objects
