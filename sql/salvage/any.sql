-- Whether a row of one table would be kept.
SELECT EXISTS (
{rows}
)
