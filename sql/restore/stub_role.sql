-- In a scratch database: a role that grants and policies of the backup name.
CREATE ROLE {role} NOLOGIN
