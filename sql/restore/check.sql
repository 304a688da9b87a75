-- A check that was left out while rows were loaded, the body of restore/do. It is made again NOT VALID where it does not hold.
BEGIN EXECUTE %(statement)s; EXCEPTION WHEN check_violation THEN EXECUTE %(unchecked)s; END
