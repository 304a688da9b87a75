-- The rows of one table that are kept.
COPY (
{rows}
) TO STDOUT
