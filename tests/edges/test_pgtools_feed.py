"""COPY becomes COPY FREEZE in what pg_restore writes, and rows are never touched."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.edges.pgtools_feed import Freezer

SCRIPT = rb"""--
-- Data for Name: a; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.a (id, text) FROM stdin;
1	COPY public.a (id) FROM stdin;
2	\\.
COPY b FROM stdin;
\N	;
\.


ALTER TABLE ONLY public.a ADD CONSTRAINT a_pkey PRIMARY KEY (id);

COPY public."empty
x" FROM stdin;
COPY rows (a) FROM stdin;
\.


COPY public.empty FROM stdin;
\.

COPY public.last ("FROM stdin;") FROM stdin;
COPY public.last FROM stdin;
\.
"""
HEADS = (
    b"COPY public.a (id, text) FROM stdin",
    b'COPY public."empty\nx" FROM stdin',
    b"COPY public.empty FROM stdin",
    b'COPY public.last ("FROM stdin;") FROM stdin',
)
FROZEN = SCRIPT
for head in HEADS:
    assert SCRIPT.count(head + b";\n") == 1
    FROZEN = FROZEN.replace(head + b";\n", head + b" WITH (FREEZE);\n")


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=60))
def test_wherever_the_pieces_begin(cuts: list[int]):
    freezer = Freezer()
    places = [0, *sorted(cuts), len(SCRIPT)]
    pieces = [SCRIPT[first:last] for first, last in itertools.pairwise(places)]
    assert b"".join([*(freezer.feed(piece) for piece in pieces), freezer.rest()]) == FROZEN


def test_one_byte_at_a_time():
    freezer = Freezer()
    pieces = [freezer.feed(bytes([byte])) for byte in SCRIPT]
    assert b"".join([*pieces, freezer.rest()]) == FROZEN
