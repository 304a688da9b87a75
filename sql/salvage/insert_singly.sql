-- Each row that waits by itself: one that is refused does not keep the others out.
DO $singly$
DECLARE
  waiting record;
BEGIN
  FOR waiting IN SELECT s.line FROM {stage} AS s WHERE s.state IS NULL ORDER BY s.line LOOP
    BEGIN
      {insert} AND s.line = waiting.line ON CONFLICT DO NOTHING;
    EXCEPTION WHEN OTHERS THEN
      UPDATE {stage} AS s SET state = 'refused', reason = SQLERRM WHERE s.line = waiting.line;
    END;
  END LOOP;
END
$singly$
