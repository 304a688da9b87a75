-- A foreign key to a table outside the backup. Where that one lacks rows the key is made all the same, but NOT VALID.
DO {tag} BEGIN EXECUTE %(statement)s; EXCEPTION WHEN foreign_key_violation THEN EXECUTE %(unchecked)s; END {tag}
