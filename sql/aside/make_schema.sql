-- A schema of the application, before its extensions and contents; owner, comment and grants follow.
CREATE SCHEMA IF NOT EXISTS {schema}
