"""What the chat vendors accept, as far as the agent's payloads use it: strict models, written from their documentation.

Slack         https://docs.slack.dev/reference/block-kit/blocks, https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
Discord       https://discord.com/developers/docs/resources/webhook#execute-webhook, …/resources/message#embed-object
Teams         https://adaptivecards.io/schemas/adaptive-card.json (1.4), https://learn.microsoft.com/connectors/teams/#request-webhook
Mattermost    https://developers.mattermost.com/integrate/reference/message-attachments/
Google Chat   https://developers.google.com/workspace/chat/api/reference/rest/v1/cards, …/rest/v1/spaces.messages
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9A-F]{6}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


def text(most: int) -> Any:
    return Annotated[str, StringConstraints(min_length=1, max_length=most)]


# --- Slack ---


class SlackText(Strict):
    type: Literal["mrkdwn"]
    text: text(3000)  # type: ignore[valid-type]
    verbatim: bool


class SlackField(SlackText):
    text: text(2000)  # type: ignore[valid-type]


class SlackSection(Strict):
    type: Literal["section"]
    text: SlackText | None = None
    fields: Annotated[list[SlackField], Field(min_length=1, max_length=10)] | None = None

    @model_validator(mode="after")
    def text_or_fields(self) -> SlackSection:
        assert self.text or self.fields
        return self


class SlackContext(Strict):
    type: Literal["context"]
    elements: Annotated[list[SlackText], Field(min_length=1, max_length=10)]


class SlackAttachment(Strict):
    color: Colour
    fallback: str
    blocks: Annotated[list[SlackSection | SlackContext], Field(min_length=1, max_length=50)]


class Slack(Strict):
    text: text(40_000)  # type: ignore[valid-type]
    attachments: Annotated[list[SlackAttachment], Field(min_length=1, max_length=20)]


# --- Discord ---


class DiscordField(Strict):
    name: text(256)  # type: ignore[valid-type]
    value: text(1024)  # type: ignore[valid-type]
    inline: bool


class DiscordFooter(Strict):
    text: text(2048)  # type: ignore[valid-type]


class DiscordEmbed(Strict):
    title: text(256)  # type: ignore[valid-type]
    description: text(4096) | None = None  # type: ignore[valid-type]
    color: Annotated[int, Field(ge=0, le=0xFFFFFF)]
    fields: Annotated[list[DiscordField], Field(max_length=25)]
    footer: DiscordFooter
    timestamp: str

    @model_validator(mode="after")
    def together(self) -> DiscordEmbed:
        parts = [self.title, self.description or "", self.footer.text]
        parts += [part for field in self.fields for part in (field.name, field.value)]
        assert sum(map(len, parts)) <= 6000
        assert datetime.fromisoformat(self.timestamp).tzinfo
        return self


class DiscordMentions(Strict):
    parse: Annotated[list[str], Field(max_length=0)]


class Discord(Strict):
    embeds: Annotated[list[DiscordEmbed], Field(min_length=1, max_length=10)]
    allowed_mentions: DiscordMentions


# --- Teams ---


class TextRun(Strict):
    type: Literal["TextRun"]
    text: str
    weight: Literal["Lighter", "Default", "Bolder"] | None = None
    size: Literal["Default", "Small", "Medium", "Large", "ExtraLarge"] | None = None
    fontType: Literal["Default", "Monospace"] | None = None  # noqa: N815 - the schema's name
    isSubtle: bool | None = None  # noqa: N815 - the schema's name


class RichTextBlock(Strict):
    type: Literal["RichTextBlock"]
    inlines: Annotated[list[TextRun], Field(min_length=1)]


class Container(Strict):
    type: Literal["Container"]
    style: Literal["default", "emphasis", "good", "attention", "warning", "accent"]
    bleed: bool
    items: Annotated[list[RichTextBlock], Field(min_length=1)]


class AdaptiveCard(Strict):
    schema_: Literal["http://adaptivecards.io/schemas/adaptive-card.json"] = Field(alias="$schema")
    type: Literal["AdaptiveCard"]
    version: Literal["1.4"]
    fallbackText: str  # noqa: N815 - the schema's name
    msteams: dict[Literal["width"], Literal["Full"]]
    body: list[Container | RichTextBlock]


class TeamsAttachment(Strict):
    contentType: Literal["application/vnd.microsoft.card.adaptive"]  # noqa: N815 - the schema's name
    contentUrl: None  # noqa: N815 - the schema's name
    content: AdaptiveCard


class Teams(Strict):
    type: Literal["message"]
    summary: str
    attachments: Annotated[list[TeamsAttachment], Field(min_length=1, max_length=1)]


# --- Mattermost ---


class MattermostField(Strict):
    short: bool
    title: str
    value: str


class MattermostAttachment(Strict):
    fallback: str
    color: Colour
    title: str
    text: str
    fields: list[MattermostField]
    footer: text(300)  # type: ignore[valid-type]


class Mattermost(Strict):
    attachments: Annotated[list[MattermostAttachment], Field(min_length=1)]


# --- Google Chat ---


class TextParagraph(Strict):
    text: text(32_000)  # type: ignore[valid-type]


class DecoratedText(Strict):
    text: text(32_000)  # type: ignore[valid-type]
    topLabel: str | None = None  # noqa: N815 - the schema's name
    bottomLabel: str | None = None  # noqa: N815 - the schema's name
    wrapText: bool | None = None  # noqa: N815 - the schema's name


class Widget(Strict):
    textParagraph: TextParagraph | None = None  # noqa: N815 - the schema's name
    decoratedText: DecoratedText | None = None  # noqa: N815 - the schema's name

    @model_validator(mode="after")
    def exactly_one(self) -> Widget:
        assert (self.textParagraph is None) != (self.decoratedText is None)
        return self


class CardSection(Strict):
    header: str | None = None
    widgets: Annotated[list[Widget], Field(min_length=1, max_length=100)]


class CardHeader(Strict):
    title: text(1000)  # type: ignore[valid-type]
    subtitle: str


class Card(Strict):
    header: CardHeader
    sections: list[CardSection]


class CardWithId(Strict):
    cardId: text(100)  # type: ignore[valid-type]  # noqa: N815 - the schema's name
    card: Card


class GoogleChat(Strict):
    fallbackText: str  # noqa: N815 - the schema's name
    cardsV2: Annotated[list[CardWithId], Field(min_length=1, max_length=100)]  # noqa: N815 - the schema's name


# --- Standard Webhooks ---


class Standard(Strict):
    type: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)*$")]
    timestamp: str
    data: dict[str, Any]


SCHEMAS: dict[str, type[Strict]] = {
    "slack": Slack,
    "discord": Discord,
    "teams": Teams,
    "mattermost": Mattermost,
    "google_chat": GoogleChat,
    "standard": Standard,
}
BYTES = {"teams": 28_000, "google_chat": 32_000, "mattermost": 7_900}
