-- All of them, as they stand in a backup.
COPY (
{pieces}
) TO STDOUT
