-- Ahead of a table's rows, in their transaction: they can be written frozen.
TRUNCATE {alias}
