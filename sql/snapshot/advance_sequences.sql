-- Set sequences that would give again what they gave before forward to where they stood (down, where they go down):
-- {"schema.name": [last value, whether it was given out, increment]} as JSON.
DO {tag} DECLARE
  place record;
  now record;
BEGIN
  FOR place IN
    SELECT to_regclass(w.name) AS sequence, s.seqincrement AS step, (w.place ->> 0)::bigint AS last, (w.place ->> 1)::boolean AS called
    FROM jsonb_each(%(values)s::jsonb) AS w (name, place)
    JOIN pg_sequence AS s ON s.seqrelid = to_regclass(w.name)
    WHERE (w.place ->> 0)::bigint BETWEEN s.seqmin AND s.seqmax
  LOOP
    EXECUTE format('SELECT last_value, is_called FROM %%s', place.sequence) INTO now;
    IF sign(place.step) * (place.last::numeric + CASE WHEN place.called THEN place.step ELSE 0 END)
        > sign(place.step) * (now.last_value::numeric + CASE WHEN now.is_called THEN place.step ELSE 0 END) THEN
      PERFORM setval(place.sequence, place.last, place.called);
    END IF;
  END LOOP;
END {tag}
