-- What the server may refuse is left out; whoever compares afterwards names it.
DO {tag} BEGIN EXECUTE %(statement)s; EXCEPTION WHEN OTHERS THEN RAISE WARNING '%%: %%', SQLSTATE, SQLERRM; END {tag}
