-- What another database may refuse, because of privileges or because it lacks what this hangs on. What is missing
-- afterwards is named.
DO {tag} BEGIN EXECUTE %(statement)s; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%%: %%', SQLSTATE, SQLERRM; END {tag}
