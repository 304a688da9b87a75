"""A receiver of the agent's signed messages: prints each one, and refuses those whose signature is wrong.

usage: WEBHOOK_SECRET=whsec_… python receiver.py PORT
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

_MAX_BYTES = 1_000_000


class Handler(BaseHTTPRequestHandler):
    """Checks the signature as https://www.standardwebhooks.com/ has it."""

    timeout = 10
    webhook: Webhook

    def do_POST(self) -> None:
        """Answer 204, or 401 to who does not know the secret."""
        length = int(self.headers.get("content-length", "0"))
        if length > _MAX_BYTES:
            self._answer(413)
            return
        try:
            message = self.webhook.verify(self.rfile.read(length), {k.lower(): v for k, v in self.headers.items()})
        except WebhookVerificationError as error:
            print(f"refused: {error}", flush=True)
            self._answer(401)
            return
        print(f"{message['type']}: {message['data']['headline']}", flush=True)
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Only messages are printed."""


def main() -> None:
    """Receive until SIGTERM."""
    Handler.webhook = Webhook(os.environ["WEBHOOK_SECRET"])
    server = ThreadingHTTPServer(("", int(sys.argv[1])), Handler)
    # A thread of its own: shutdown() waits for serve_forever(), which the signal has interrupted.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on port {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
