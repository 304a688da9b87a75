"""Messages about deploys: what they say, and that every vendor accepts them whatever text they carry."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.core.models import EventKind
from agent.core.states import State
from agent.report.chat import Message, compose
from agent.report.chat_payloads import RENDERERS, cut, encode
from agent.report.models import Level, NextCommand
from tests.support import stories
from tests.support.chat_schemas import BYTES, SCHEMAS
from tests.support.stories import Storyteller

STORIES: list[Callable[[], Storyteller]] = [
    stories.succeeded,
    stories.restored,
    stories.aborted,
    stories.check_failed,
    stories.needs_operator,
    stories.running,
    stories.waiting,
    stories.approved,
    stories.rejected,
]
HOSTILE = [
    "<!channel> <!here> <@U123> <https://evil.example|click>",
    "@everyone @here @channel @all <@&1234>",
    "</b><a href='https://evil.example'>x</a> &amp;",
    "[click](https://evil.example) **bold** `code` ``` # head\n> quote",
    'quote " backslash \\ newline \n tab \t nul-free \u2028 emoji 🗄️ rtl \u202e',
]


def told(story: Storyteller) -> list[Message]:
    changes = [event.seq for event in story.events if event.kind in (EventKind.STATE, EventKind.APPROVAL)]
    return [compose(story.deploy(), story.events, seq) for seq in changes]


def with_text(words: str) -> Message:
    last = told(stories.restored())[-1]
    fields = tuple(field.model_copy(update={"value": words or "-"}) for field in last.fields)
    commands = (NextCommand(command=words or "-", why=words),)
    return last.model_copy(update={"title": words or "-", "text": words, "fields": fields, "commands": commands})


# --- what a message says ---


def test_each_change_of_state_is_told_as_it_stood_then() -> None:
    messages = told(stories.restored())
    assert [message.state for message in messages] == [
        State.PREFLIGHT,
        State.SNAPSHOT,
        State.BACKUP,
        State.MIGRATE,
        State.ROLLING_BACK,
        State.RESTORING,
        State.RESTORED,
    ]
    assert all("foreign key" not in message.text for message in messages[:4])
    assert all("foreign key" in message.text for message in messages[4:])
    assert [field.name for field in messages[1].fields].count("Backup") == 0
    assert "00003_update_playlists.sql line 41" in messages[-1].title
    assert messages[-1].level is Level.WARNING
    assert [message.commands == () for message in messages] == [True] * 6 + [False]
    assert len({message.id for message in messages}) == len(messages)
    assert all("tracks-posts" in message.title for message in messages)


def test_the_facts_of_a_success() -> None:
    last = told(stories.succeeded())[-1]
    facts = {field.name: field.value for field in last.fields}
    assert facts["State"] == "succeeded"
    assert facts["Migrations"] == "4 of 4 applied"
    assert facts["Checks"] == "3 passed"
    assert facts["Backup"].startswith("20260301T020003Z-tracks-posts")
    assert last.level is Level.GOOD
    assert last.commands == ()


def test_a_message_does_not_change_when_the_deploy_moves_on() -> None:
    story = stories.restored()
    seq = next(event.seq for event in story.events if event.data.get("to") == State.BACKUP)
    early = [event for event in story.events if event.seq <= seq]
    then = story.deploy().model_copy(
        update={"state": State.BACKUP, "failure": None, "finished_at": None, "backup_id": ""}
    )
    assert compose(story.deploy(), story.events, seq) == compose(then, early, seq)


def test_a_question_is_told_with_what_it_is_about_and_how_to_answer() -> None:
    asked, answered, _ = told(stories.rejected())[-3:]
    assert (asked.topic, asked.state) == ("waiting_for_approval", State.RESTORING)
    assert asked.title == "Waiting for approval of the in-place restore of tracks-posts"
    assert "keep 12 rows in a salvage file, lose 0 rows (deletes" in asked.text
    assert ("Would take", "about 14 s") in [(field.name, field.value) for field in asked.fields]
    assert [each.command for each in asked.commands] == [
        "deploy-agent approve 01JQ7DEPLOY",
        "deploy-agent approve 01JQ7DEPLOY --reject",
    ]
    assert RENDERERS["standard"](asked)["type"] == "deploy.waiting_for_approval"
    assert asked.details["approval"]["proposal"]["rows_salvaged"] == 12
    assert (answered.topic, answered.commands) == ("rejected", ())
    assert answered.title == "The in-place restore of tracks-posts was rejected by nina (cli)"


def test_only_changes_of_state_and_approvals_are_told() -> None:
    story = stories.succeeded()
    other = next(event.seq for event in story.events if event.kind is not EventKind.STATE)
    with pytest.raises(ValueError, match=f"event {other} "):
        compose(story.deploy(), story.events, other)


# --- what the vendors accept ---


def assert_accepted(kind: str, message: Message) -> dict[str, object]:
    payload = RENDERERS[kind](message)
    body = encode(payload)
    SCHEMAS[kind].model_validate(json.loads(body))
    assert len(body) <= BYTES.get(kind, 100_000)
    return payload


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("story", STORIES)
def test_every_message_is_accepted(kind: str, story: Callable[[], Storyteller]) -> None:
    for message in told(story()):
        assert_accepted(kind, message)


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("size", [0, 1, 2990, 3001, 4097, 30_000, 300_000])
@pytest.mark.parametrize("sign", ["x", "&", "_", "🗄", "\n"])
def test_a_text_of_any_length_is_accepted(kind: str, size: int, sign: str) -> None:
    assert_accepted(kind, told(stories.restored())[-1].model_copy(update={"text": (sign * size).strip()}))


@pytest.mark.parametrize("kind", [kind for kind in RENDERERS if kind != "standard"])
@given(words=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=3000).map(str.strip))
def test_any_text_anywhere_is_accepted(kind: str, words: str) -> None:
    assert_accepted(kind, with_text(words))


def shown(payload: object) -> list[str]:
    """All texts in a payload."""
    if isinstance(payload, dict):
        return [text for value in payload.values() for text in shown(value)]
    if isinstance(payload, list):
        return [text for value in payload for text in shown(value)]
    return [payload] if isinstance(payload, str) else []


@pytest.mark.parametrize("words", HOSTILE)
def test_slack_gets_no_control_characters(words: str) -> None:
    texts = shown(assert_accepted("slack", with_text(words)))
    assert not [text for text in texts if "<" in text or ">" in text]
    (commands,) = [text for text in texts if text.startswith("```")]
    assert commands.endswith("```")
    assert commands.count("`") == 6


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("kind", ["discord", "mattermost"])
def test_nobody_is_mentioned(kind: str, words: str) -> None:
    for text in shown(assert_accepted(kind, with_text(words))):
        assert not [name for name in ("@everyone", "@here", "@channel", "@all", "<@U123>", "<@&") if name in text]


@pytest.mark.parametrize("words", HOSTILE)
@pytest.mark.parametrize("kind", ["discord", "mattermost"])
def test_markdown_is_shown_as_it_is(kind: str, words: str) -> None:
    payload = RENDERERS[kind](with_text(words))
    (card,) = payload.get("embeds") or payload["attachments"]
    texts = [card.get("description", card.get("text")), *(field["value"] for field in card["fields"])]
    texts += [card["title"]] if kind == "discord" else []  # Mattermost's titles are no Markdown
    (commands,) = [text for text in texts if text.startswith("```")]
    texts.remove(commands)
    assert not [text for text in texts if re.search(r"(?<!\\)[*_~`|\[\]<>#]", text)]
    assert commands.count("`") == 6


@pytest.mark.parametrize("words", HOSTILE)
def test_google_chat_gets_no_foreign_tags(words: str) -> None:
    payload = assert_accepted("google_chat", with_text(words))
    html = [text for text in shown(payload) if "<a " in text or "</b><a" in text]
    labels = [words]  # labels and the header show their text as it is
    assert all(any(text.startswith(label[:20]) for label in labels) for text in html)


@pytest.mark.parametrize("words", HOSTILE)
def test_teams_shows_the_text_as_it_is(words: str) -> None:
    texts = shown(assert_accepted("teams", with_text(words)))
    assert all(line in texts for line in words.splitlines() if line.strip())
    types = [json.dumps(block) for block in RENDERERS["teams"](with_text(words))["attachments"][0]["content"]["body"]]
    assert not [block for block in types if '"TextBlock"' in block]  # which would read Markdown


def test_an_escape_is_never_cut_in_two() -> None:
    table = {ord("&"): "&amp;"}
    assert cut("a&b", 7, table) == "a&amp;b"
    assert cut("a&b", 6, table) == "a…"
    assert cut("&&&", 11, table) == "&amp;&amp;…"
    assert cut("abc", 3, {}) == "abc"
    assert cut("abcd", 3, {}) == "ab…"
    assert cut("🗄🗄🗄", 5, {}) == "🗄🗄…"
    assert cut("abc", 0, {}) == ""
