"""COPY becomes COPY FREEZE in what pg_restore writes, and rows are never touched."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agent.edges.pgtools_feed import Freezer, first_copy, rows

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


class Pieces:
    """A stream that gives what it is asked for in these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.left = [piece for piece in pieces if piece]

    async def read(self, _most: int) -> bytes:
        return self.left.pop(0) if self.left else b""


ROWS = SCRIPT[SCRIPT.index(b"1\tCOPY") : SCRIPT.index(b"\\.\n\n\nALTER")]


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=60), st.sampled_from([ROWS, b""]))
def test_the_rows_of_one_table(cuts: list[int], expected: bytes):
    script = SCRIPT[: SCRIPT.index(b"ALTER")].replace(ROWS, expected) + b"--\n-- complete\n--\n"
    places = [0, *sorted(min(cut, len(script)) for cut in cuts), len(script)]
    stream = Pieces([script[first:last] for first, last in itertools.pairwise(places)])

    async def read() -> tuple[str, bytes]:
        statement, begun = await first_copy(stream)
        return statement, b"".join([block async for block in rows(stream, begun)])

    assert asyncio.run(read()) == ("COPY public.a (id, text) FROM stdin", expected)
    assert stream.left == []


MANY = b"".join(b"%d\tCOPY public.a (id) FROM stdin;\n" % number for number in range(2_000))


@given(st.lists(st.integers(0, len(MANY)), max_size=40), st.sampled_from([b"\\.\n\n\n--\n-- end\n--\n", b""]))
def test_many_rows_with_and_without_their_end(cuts: list[int], behind: bytes):
    places = [0, *sorted(cuts), len(MANY) + len(behind)]
    stream = Pieces([(MANY + behind)[first:last] for first, last in itertools.pairwise(places)])

    async def read() -> list[bytes]:
        return [block async for block in rows(stream, b"")]

    blocks = asyncio.run(read())
    assert b"".join(blocks) == MANY
    assert stream.left == []


def test_a_script_without_rows():
    assert asyncio.run(first_copy(Pieces([b"SET x = 1;\n", b"\n"]))) == ("", b"")
