-- Functions, procedures, aggregates. CREATE OR REPLACE alters all but the arguments with their defaults and the result.
SELECT 'function:' || f.ident,
  CASE f.prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END,
  'pg_proc'::regclass::oid, f.oid, 0, '',
  concat_ws(E'\n', f.prokind, pg_get_function_arguments(f.oid), pg_get_function_result(f.oid),
    (SELECT concat_ws(' ', g.aggkind, g.aggnumdirectargs, g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggserialfn,
       g.aggdeserialfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn, g.aggfinalextra, g.aggmfinalextra, g.aggfinalmodify,
       g.aggmfinalmodify, g.aggtranstype::regtype, g.aggtransspace, g.aggmtranstype::regtype, g.aggmtransspace,
       nullif(g.aggsortop, 0)::regoperator, quote_literal(g.agginitval), quote_literal(g.aggminitval), f.proparallel)
     FROM pg_aggregate AS g WHERE g.aggfnoid = f.oid)),
  CASE f.prokind WHEN 'a' THEN 'AGGREGATE' WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
  CASE WHEN f.prokind = 'a' AND f.pronargs = 0 THEN f.qualified || '(*)' ELSE f.ident END,
  f.proowner, f.proacl, 'f'::"char",
  ARRAY[CASE WHEN f.prokind <> 'a' THEN 'source=' || pg_get_functiondef(f.oid) END],
  NULL::text[], NULL, NULL, false, f.pronamespace
FROM fn AS f
