-- The password of a login role, as the SCRAM secret that the client has made of it.
ALTER ROLE {role} PASSWORD {secret}
