-- What becomes of all rows of a kind that are in a state.
UPDATE {stage} AS s SET state = %(to)s WHERE s.state IS NOT DISTINCT FROM %(since)s AND s.kind = ANY (%(kinds)s::text[])
