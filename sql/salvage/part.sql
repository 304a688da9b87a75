-- Behind rows.sql: only rows on pages from `first` on, ahead of `behind`.
AND t.ctid >= %(first)s::tid AND t.ctid < %(behind)s::tid
