-- Whether there is a large object that the role may read.
SELECT EXISTS (SELECT FROM pg_largeobject_metadata AS o WHERE {readable})
