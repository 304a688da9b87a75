-- The JWT claims as PostgREST sets them for one request, undone with the transaction; the old single settings too.
SELECT set_config('request.jwt.claims', %(claims)s, true),
       set_config('request.jwt.claim.sub', %(user)s, true),
       set_config('request.jwt.claim.role', %(role)s, true)
