-- Functions of a name; with wanted argument types (a list, or NULL for any), whether they are the same types.
SELECT oidvectortypes(p.proargtypes) AS args,
       %(args)s::text[] IS NULL OR ARRAY(
           SELECT u.type FROM unnest(p.proargtypes) WITH ORDINALITY AS u(type, place) ORDER BY u.place
       ) = ARRAY(
           SELECT to_regtype(w.name)::oid FROM unnest(%(args)s::text[]) WITH ORDINALITY AS w(name, place) ORDER BY w.place
       ) AS same_args,
       pg_get_function_result(p.oid) AS returns,
       l.lanname::text AS language,
       p.prosecdef AS security_definer
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname = %(schema)s AND p.proname = %(name)s
ORDER BY 1
