"""Chat channels and webhooks over httpx: one POST a message, and what the answer means.

    2xx                     delivered
    408, 425, 429, 5xx      try again, after Retry-After where it is given
    everything else         trying again cannot help; a redirect too: it is not followed

A webhook's URL is a secret: it appears in no error and no log (httpx logs URLs at INFO, so that
logger is quieted). RFC 9110, section 10.2.3 defines Retry-After.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from agent import __version__
from agent.errors import DeliveryError, InputError
from agent.report.chat import Message
from agent.report.chat_payloads import RENDERERS, encode

TIMEOUT_S = 10.0
"""How long one delivery may take in all; shorter than `agent.edges.store.LEASE`."""

_TRY_AGAIN = frozenset({408, 425, 429})
_ANSWER_WIDTH = 120
_ANSWER_BYTES = 16 * 1024

Now = Callable[[], datetime]


def make_client() -> httpx.AsyncClient:
    """The HTTP client that all notifiers share; close it with `await client.aclose()`."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return httpx.AsyncClient(
        timeout=httpx.Timeout(TIMEOUT_S),
        follow_redirects=False,
        headers={"user-agent": f"supabase-deploy-agent/{__version__}", "accept-encoding": "identity"},
    )


def make_notifier(
    *, name: str, kind: str, url: SecretStr, secret: SecretStr | None = None, client: httpx.AsyncClient, now: Now
) -> WebhookNotifier:
    """One notification target of the settings.

    Args:
        name: the target's name in the settings.
        kind: slack, discord, teams, mattermost, google_chat or standard.
        url: where to POST.
        secret: for kind standard: `whsec_` and base64; messages are signed with it.
        client: from `make_client`.
        now: the time, for signatures and for Retry-After dates.

    Raises:
        InputError: `settings.notify_kind`, `settings.notify_url`, `settings.notify_secret`.
    """
    if kind not in RENDERERS:
        raise _wrong(name, "kind", f"there is no kind {kind!r}", f"Use one of: {', '.join(RENDERERS)}.")
    try:
        parts = urlsplit(url.get_secret_value())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid:
        raise _wrong(name, "url", "the URL is no http(s) URL", "Copy the webhook's URL from the channel's settings.")
    if kind != "standard":
        return WebhookNotifier(name=name, kind=kind, url=url, client=client, now=now)
    try:
        signer = Webhook(secret.get_secret_value() if secret else "")
    except (ValueError, EmptyWebhookSecretError) as error:  # binascii.Error is a ValueError
        hint = 'Make one: echo "whsec_$(openssl rand -base64 24)"'
        raise _wrong(name, "secret", "the secret is missing or is not whsec_ and base64", hint) from error
    return SignedNotifier(name=name, url=url, signer=signer, client=client, now=now)


def _wrong(name: str, field: str, what: str, hint: str) -> InputError:
    return InputError(
        f"notify target {name}: {what}", code=f"settings.notify_{field}", hint=hint, where={"field": f"notify.{field}"}
    )


class WebhookNotifier:
    """`agent.ports.Notifier` for one webhook: the message in its vendor's form, POSTed as JSON."""

    def __init__(self, *, name: str, kind: str, url: SecretStr, client: httpx.AsyncClient, now: Now) -> None:
        self._name = name
        self._url = url
        self._render = RENDERERS[kind]
        self._client = client
        self._now = now

    @property
    def name(self) -> str:
        """The target's name in the settings."""
        return self._name

    async def send(self, payload: Mapping[str, Any]) -> None:
        """Deliver once.

        Args:
            payload: an `agent.report.chat.Message` as a dict.

        Raises:
            DeliveryError: `delivery.timeout`, `delivery.unreachable`, `delivery.refused` (permanent),
                `delivery.rate_limited`, `delivery.failed`.
        """
        message = Message.model_validate(payload)
        body = encode(self._render(message))
        headers = {"content-type": "application/json"} | self._sign(message, body)
        try:
            async with asyncio.timeout(TIMEOUT_S):  # httpx limits each read, not the whole
                answer = await self._post(body, headers)
        # The library's errors are cut off: they carry the request, and their texts may name the URL.
        except (httpx.TimeoutException, TimeoutError):
            raise DeliveryError(
                f"{self._name} did not answer within {TIMEOUT_S:g} s", code="delivery.timeout"
            ) from None
        except httpx.HTTPError as error:
            raise DeliveryError(
                f"{self._name} cannot be reached ({type(error).__name__})", code="delivery.unreachable"
            ) from None
        self._judge(answer)

    async def _post(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The answer with the beginning of its body: a receiver may send without end."""
        request = self._client.build_request("POST", self._url.get_secret_value(), content=body, headers=headers)
        answer = await self._client.send(request, stream=True)
        read = bytearray()
        try:
            async for chunk in answer.aiter_raw(_ANSWER_BYTES):
                read += chunk
                if len(read) >= _ANSWER_BYTES:
                    break
        finally:
            await answer.aclose()
        plain = {name: value for name, value in answer.headers.items() if name.lower() != "content-encoding"}
        return httpx.Response(answer.status_code, headers=plain, content=bytes(read[:_ANSWER_BYTES]))

    def _sign(self, message: Message, body: bytes) -> dict[str, str]:
        """Headers of this kind; none unless overridden."""
        del message, body
        return {}

    def _judge(self, answer: httpx.Response) -> None:
        status = answer.status_code
        if 200 <= status < 300:
            return
        said = f"{self._name} answered HTTP {status}{self._words(answer)}"
        if status in _TRY_AGAIN or status >= 500:
            code = "delivery.rate_limited" if status == 429 else "delivery.failed"
            raise DeliveryError(said, code=code, retry_after=self._retry_after(answer))
        hint = "Redirects are not followed; set the final URL." if 300 <= status < 400 else "Check the target's URL."
        raise DeliveryError(said, permanent=True, code="delivery.refused", hint=hint)

    def _words(self, answer: httpx.Response) -> str:
        """The beginning of the answer's text, unless it repeats a part of the URL."""
        text = " ".join(answer.text[: 4 * _ANSWER_WIDTH].split())[:_ANSWER_WIDTH]
        parts = urlsplit(self._url.get_secret_value())
        secrets = [part for part in (*parts.path.split("/"), parts.query) if len(part) > 3]
        return "" if not text or any(part in text for part in secrets) else f": {text}"

    def _retry_after(self, answer: httpx.Response) -> float | None:
        """Seconds to wait, from the header (seconds or a date) or from Discord's body."""
        given = answer.headers.get("retry-after", "").strip()
        try:
            return max(float(given), 0.0)
        except ValueError:
            pass
        try:
            return max((parsedate_to_datetime(given) - self._now()).total_seconds(), 0.0)
        except (ValueError, TypeError):  # no header, or a date without a zone
            pass
        try:
            body = answer.json()
            return max(float(body["retry_after"]), 0.0)
        except (ValueError, TypeError, KeyError):
            return None


class SignedNotifier(WebhookNotifier):
    """A webhook whose receiver can prove who sent it: Standard Webhooks, symmetric signature v1.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """

    def __init__(self, *, name: str, url: SecretStr, signer: Webhook, client: httpx.AsyncClient, now: Now) -> None:
        super().__init__(name=name, kind="standard", url=url, client=client, now=now)
        self._signer = signer

    def _sign(self, message: Message, body: bytes) -> dict[str, str]:
        identity = f"msg_{message.id}"  # the same at every attempt: the receiver drops repetitions by it
        at = self._now()
        return {
            "webhook-id": identity,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer.sign(msg_id=identity, timestamp=at, data=body.decode()),
        }
