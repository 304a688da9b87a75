"""A message in each vendor's form: cut to the vendor's limits, and escaped so that no text can ping or format.

The texts quote SQL and server errors, which anybody who writes a migration controls.
Sources of format and limits stand at each function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from agent.report.chat import Message
from agent.report.models import Level

Payload = dict[str, Any]

COLOURS = {Level.INFO: "#2F6FEB", Level.GOOD: "#2DA44E", Level.WARNING: "#D4A72C", Level.ERROR: "#CF222E"}
_NO_MENTION = "@\u200b"  # a zero-width space after the sign keeps @everyone, @channel and @here plain text
_PLAIN = str.maketrans({"@": _NO_MENTION})
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN = str.maketrans({**{sign: f"\\{sign}" for sign in "\\*_~`|<>#[]"}, "@": _NO_MENTION})
_CODE = str.maketrans({"`": "'", "@": _NO_MENTION})
_SLACK_CODE = str.maketrans({"`": "'", "&": "&amp;", "<": "&lt;", ">": "&gt;"})
_AS_IS: dict[int, str] = {}
_BACKGROUNDS = {Level.INFO: "accent", Level.GOOD: "good", Level.WARNING: "warning", Level.ERROR: "attention"}


def slack(message: Message) -> Payload:
    """Slack incoming webhook, Block Kit inside an attachment, which alone has a colour.

    Limits: section text 3,000 characters, 10 fields of 2,000 (a field here: 300), 50 blocks; `&<>` are escaped.
    https://docs.slack.dev/reference/block-kit/blocks/section-block,
    https://docs.slack.dev/messaging/formatting-message-text
    """
    title = cut(message.title, 300, _HTML)
    blocks: list[Payload] = []
    if message.text:
        blocks.append({"type": "section", "text": _slack_text(cut(message.text, 3000, _HTML))})
    if message.fields:
        fields = [
            _slack_text(f"*{cut(each.name, 80, _HTML)}*\n{cut(each.value, 300, _HTML)}") for each in message.fields[:10]
        ]
        blocks.append({"type": "section", "fields": fields})
    if message.commands:
        blocks.append({"type": "section", "text": _slack_text(_commands(message, 2900, _SLACK_CODE))})
    blocks.append({"type": "context", "elements": [_slack_text(cut(message.footer, 300, _HTML))]})
    return {
        "text": title,  # stands above the attachment, and is what a phone's notification shows
        "attachments": [{"color": COLOURS[message.level], "fallback": title, "blocks": blocks}],
    }


def _slack_text(text: str) -> Payload:
    # verbatim: Slack must not turn names or addresses in the text into links.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def discord(message: Message) -> Payload:
    """Discord webhook, one embed; no mention is allowed to ping.

    Limits: title 256, description 4,096, 25 fields, name 256, value 1,024, footer 2,048, 6,000 in all.
    https://discord.com/developers/docs/resources/message#embed-object-embed-limits
    """
    fields = [
        {"name": cut(each.name, 80, _MARKDOWN), "value": cut(each.value, 300, _MARKDOWN), "inline": True}
        for each in message.fields[:12]
    ]
    if message.commands:
        fields.append({"name": "Next", "value": _commands(message, 1000, _CODE), "inline": False})
    title = cut(message.title, 256, _MARKDOWN)
    footer = cut(message.footer, 200, _PLAIN)
    used = _length(title) + _length(footer)
    used += sum(_length(str(each["name"])) + _length(str(each["value"])) for each in fields)
    embed: Payload = {
        "title": title,
        "color": int(COLOURS[message.level][1:], 16),
        "fields": fields,
        "footer": {"text": footer},
        "timestamp": message.at.isoformat(),
    }
    if description := cut(message.text, min(4096, 6000 - used), _MARKDOWN):
        embed["description"] = description
    return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def teams(message: Message) -> Payload:
    """Microsoft Teams, a Workflows webhook ("When a Teams webhook request is received"): one Adaptive Card 1.4.

    RichTextBlock shows its text as it is, without Markdown, so nothing needs escaping.
    Limit: 28 KB for the whole message.
    https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using,
    https://adaptivecards.io/explorer/RichTextBlock.html
    """
    return _fit(message, 27_000, _teams)


def _teams(message: Message) -> Payload:
    body: list[Payload] = [
        {
            "type": "Container",
            "style": _BACKGROUNDS[message.level],
            "bleed": True,
            "items": [_runs({"text": message.title, "weight": "Bolder", "size": "Medium"})],
        }
    ]
    body += [_runs({"text": line}) for line in message.text.splitlines()[:40] if line.strip()]
    body += [_runs({"text": f"{each.name}: ", "weight": "Bolder"}, {"text": each.value}) for each in message.fields]
    for each in message.commands:
        body.append(_runs({"text": each.command, "fontType": "Monospace"}, {"text": f"  {each.why}", "isSubtle": True}))
    body.append(_runs({"text": message.footer, "isSubtle": True, "size": "Small"}))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.title,
        "msteams": {"width": "Full"},
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "summary": message.title, "attachments": [attachment]}


def _runs(*runs: Payload) -> Payload:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", **run} for run in runs]}


def mattermost(message: Message) -> Payload:
    """Mattermost incoming webhook, one attachment.

    Limit: all attachments together 7,900 characters of JSON (older servers; newer ones allow 16,383).
    https://developers.mattermost.com/integrate/reference/message-attachments/
    """
    return _fit(message, 7_600, _mattermost)


def _mattermost(message: Message) -> Payload:
    fields = [
        {"short": True, "title": cut(each.name, 80, _PLAIN), "value": cut(each.value, 300, _MARKDOWN)}
        for each in message.fields[:12]
    ]
    if message.commands:
        fields.append({"short": False, "title": "Next", "value": _commands(message, 1500, _CODE)})
    attachment = {
        "fallback": cut(message.title, 300, _PLAIN),
        "color": COLOURS[message.level],
        "title": cut(message.title, 300, _PLAIN),
        "text": cut(message.text, 4000, _MARKDOWN),
        "fields": fields,
        "footer": cut(message.footer, 200, _PLAIN),
    }
    return {"attachments": [attachment]}


def google_chat(message: Message) -> Payload:
    """Google Chat webhook, one card; its text is a subset of HTML.

    Limit: 32,000 bytes for the whole message.
    https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages,
    https://developers.google.com/workspace/chat/api/reference/rest/v1/cards
    """
    return _fit(message, 31_000, _google_chat)


def _google_chat(message: Message) -> Payload:
    widgets: list[Payload] = []
    if message.text:
        widgets.append({"textParagraph": {"text": cut(message.text, 12_000, _HTML)}})
    for each in message.fields[:12]:
        text = cut(each.value, 300, _HTML)
        if each.name == "State":
            text = f'<b><font color="{COLOURS[message.level]}">{text}</font></b>'
        widgets.append({"decoratedText": {"topLabel": cut(each.name, 80, _AS_IS), "text": text, "wrapText": True}})
    sections: list[Payload] = [{"widgets": widgets}] if widgets else []
    if message.commands:
        lines = [
            {"decoratedText": {"text": cut(each.command, 300, _HTML), "bottomLabel": cut(each.why, 300, _AS_IS)}}
            for each in message.commands[:10]
        ]
        sections.append({"header": "Next", "widgets": lines})
    header = {"title": cut(message.title, 300, _AS_IS), "subtitle": cut(message.footer, 200, _AS_IS)}
    card = {"cardId": message.id, "card": {"header": header, "sections": sections}}
    return {"fallbackText": cut(message.title, 300, _HTML), "cardsV2": [card]}


def standard(message: Message) -> Payload:
    """Plain JSON for programs: `type`, `timestamp` and `data` as Standard Webhooks recommends.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    return {"type": f"deploy.{message.topic}", "timestamp": message.at.isoformat(), "data": message.details}


RENDERERS: Mapping[str, Callable[[Message], Payload]] = {
    "slack": slack,
    "discord": discord,
    "teams": teams,
    "mattermost": mattermost,
    "google_chat": google_chat,
    "standard": standard,
}


def encode(payload: Payload) -> bytes:
    """The payload as it goes over the wire; limits in bytes count these."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def cut(text: str, limit: int, table: Mapping[int, str]) -> str:
    """Escape with `table`, and cut between characters so that the result has at most `limit` UTF-16 units.

    A cut is marked by `…`; an escape is never cut in two.
    """
    whole = text.translate(table)
    if _length(whole) <= limit:
        return whole
    kept: list[str] = []
    room = limit - 1
    for sign in text:
        escaped = sign.translate(table)
        room -= _length(escaped)
        if room < 0:
            break
        kept.append(escaped)
    return "".join(kept).rstrip() + "…" if limit > 0 else ""


def _length(text: str) -> int:
    return len(text.encode("utf-16-le", "replace")) // 2


def _commands(message: Message, limit: int, table: Mapping[int, str]) -> str:
    text = "\n".join(f"{each.command}   # {each.why}" for each in message.commands)
    return f"```\n{cut(text, limit - 8, table)}\n```"


def _fit(message: Message, limit: int, render: Callable[[Message], Payload]) -> Payload:
    """Shorten the text until the payload has at most `limit` bytes."""
    message = message.model_copy(update={"text": cut(message.text, limit, _AS_IS)})
    payload = render(message)
    while len(encode(payload)) > limit and message.text:
        message = message.model_copy(update={"text": cut(message.text, len(message.text) * 3 // 4 - 1, _AS_IS)})
        payload = render(message)
    return payload
