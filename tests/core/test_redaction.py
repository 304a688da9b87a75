"""Redaction: nothing that is a secret survives; what is none stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.redaction import MASK, Redactor, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZV9yb2xlIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ALTER ROLE app PASSWORD 'hunter2'", "ALTER ROLE app PASSWORD '***'"),
        ("create user a encrypted password 'it''s'; select 1", "create user a encrypted password '***'; select 1"),
        ("ALTER ROLE app PASSWORD E'a\\'b' VALID UNTIL 'x'", "ALTER ROLE app PASSWORD *** VALID UNTIL 'x'"),
        ("ALTER ROLE app PASSWORD $x$hunter2$x$ LOGIN", "ALTER ROLE app PASSWORD *** LOGIN"),
        ("ALTER ROLE app PASSWORD 'cut off in the mid", "ALTER ROLE app PASSWORD '***'"),
        ("OPTIONS (user 'u', password 'p w')", "OPTIONS (user 'u', password '***')"),
        ("select vault.create_secret('s3cr3t', 'name')", "select vault.create_secret('***', 'name')"),
        ("select vault.update_secret(id, 's3cr3t')", "select vault.update_secret(id, '***')"),
        ("postgresql://u:p%40ss@db.example.com:5432/postgres", "postgresql://u:***@db.example.com:5432/postgres"),
        ("postgres://u:p@ss/w:rd@host/db failed", "postgres://u:***@host/db failed"),
        ("at https://user:pass@example.com/x", "at https://user:***@example.com/x"),
        ("host=db password=hunter2 user=u", "host=db password=*** user=u"),
        ("host=db password='hun ter2' user=u", "host=db password='***' user=u"),
        ("PGPASSWORD=hunter2 pg_dump", "PGPASSWORD=*** pg_dump"),
        ('{"password": "hunter2", "a": 1}', '{"password": "***", "a": 1}'),
        ('{"access_token":"abc"}', '{"access_token":"***"}'),
        (f"key {JWT}.", "key ***."),
        ("sbp_0123456789abcdef0123456789abcdef01234567", "sbp_***"),
        ("sb_secret_AbC-dEf_123", "sb_secret_***"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw==", "whsec_***"),
        ("AGE-SECRET-KEY-1QQQQQQQQQQ", "AGE-SECRET-KEY-1***"),
        ("Authorization: Bearer abcdefghijk", "Authorization: Bearer ***"),
        ("https://hooks.slack.com/services/T0/B0/xyz said 404", "https://hooks.slack.com/services/*** said 404"),
        ("https://discord.com/api/webhooks/1/abc", "https://discord.com/api/webhooks/***"),
        (
            "https://chat.googleapis.com/v1/spaces/A/messages?key=K&token=T",
            "https://chat.googleapis.com/v1/spaces/A/messages?key=***&token=***",
        ),
    ],
)
def test_secrets_by_their_shape(text: str, shown: str):
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        'FATAL: password authentication failed for user "app"',
        'insert or update on table "a" violates foreign key constraint "b"',
        "CREATE TABLE t (password text NOT NULL)",
        "connection to 127.0.0.1:5432 refused",
        "see https://example.com/docs?page=2",
        "sqlite:////var/lib/agent/agent.db",
        "UPDATE users SET name = 'x' WHERE email = 'a@b.c'",
        "https://example.com:8443/path",
        "",
    ],
)
def test_ordinary_text_stays(text: str):
    assert redact(text) == text


def test_known_values_are_masked_in_every_form():
    redactor = Redactor(["p@ss/word+1", "postgres", "abc"])
    assert redactor("p@ss/word+1 p%40ss%2Fword%2B1 p%40ss/word%2B1") == f"{MASK} {MASK} {MASK}"
    assert redactor("user postgres, abc") == "user postgres, abc"


def test_the_longest_known_value_wins():
    assert redact("secret-1-long", ["secret-1", "secret-1-long"]) == MASK


def test_deep_masks_values_under_telling_keys_and_texts_anywhere():
    value = {"a": ["postgres://u:pw@h/d", {"token": "x"}], "password": "y", "n": 3, "empty_token": "", "t": ("z",)}
    assert Redactor().deep(value) == {
        "a": ["postgres://u:***@h/d", {"token": "***"}],
        "password": "***",
        "n": 3,
        "empty_token": "",
        "t": ["z"],
    }


@given(
    secret=st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=6, max_size=30),
    around=st.text(max_size=30),
)
def test_a_known_value_never_survives(secret: str, around: str):
    shown = redact(f"{around} {secret} {around}", [secret])
    if (
        secret not in around
        and secret not in MASK
        and secret.lower() not in ("postgres", "password", "supabase", "localhost")
    ):
        assert secret not in shown


@given(password=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="'\\"), min_size=1))
def test_a_role_password_never_survives(password: str):
    assert redact(f"ALTER ROLE x PASSWORD '{password}';") == "ALTER ROLE x PASSWORD '***';"


@given(st.text(max_size=200))
def test_redaction_done_twice_is_done_once(text: str):
    once = redact(text)
    assert redact(once) == once


def test_a_whole_row_is_never_shown():
    """DETAIL of NOT NULL and CHECK violations (PostgreSQL, `ExecConstraints`); the key in other details is."""
    said = "null value in column b. Detail: Failing row contains (7, null, jo (at home)\n, 4111 1111)."
    assert redact(said) == "null value in column b. Detail: Failing row contains ***."
    key = "Key (track_id)=(23229b2f) is not present in table tracks."
    assert redact(key) == key


def test_what_is_learnt_is_masked_too():
    redactor = Redactor(["first-secret"])
    redactor.learn(["second-secret"])
    assert redactor("first-secret second-secret third") == "*** *** third"
