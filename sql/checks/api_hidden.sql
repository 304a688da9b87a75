-- Whether a table has a row at all, seen with the deploying role's rights.
SELECT EXISTS (SELECT FROM {table}) AS there
