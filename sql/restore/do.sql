-- A block of PL/pgSQL that was put together from other files.
DO %(body)s
