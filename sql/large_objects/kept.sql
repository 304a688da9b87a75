-- Those that a restore takes away and that may be others': each row is unclear, as salvage/rows says it.
SELECT 'u'::text, piece.* FROM (
{pieces}
) AS piece
WHERE piece.oid = ANY (%(objects)s::oid[])
