-- Act with another role's rights until the (sub)transaction ends.
SET LOCAL ROLE {role}
