"""What `deploy-agent health` hears of the agent, and makes of it."""

from __future__ import annotations

import socket
import threading
from urllib.parse import urlsplit

import pytest

from agent.edges.own_probe import ask
from agent.errors import HealthError
from tests.support.receiver import Answer, Receiver


def port_of(webhooks: Receiver) -> int:
    port = urlsplit(webhooks.url).port
    assert port is not None
    return port


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_an_agent_that_listens_there_is_asked(webhooks: Receiver, host: str) -> None:
    ask("/livez", host=host, port=port_of(webhooks))
    assert [(one.method, one.path) for one in webhooks.requests] == [("GET", "/livez")]


def test_what_is_missing_is_told(webhooks: Receiver) -> None:
    body = (
        b'{"ready": false, "missing": [{"name": "target", "message": "no answer"}, {"name": "store", "message": "x"}]}'
    )
    webhooks.answers.append(Answer(status=503, body=body))
    with pytest.raises(HealthError, match=r"/readyz .* answered 503: target: no answer; store: x$") as caught:
        ask("/readyz", host="127.0.0.1", port=port_of(webhooks))
    assert caught.value.code == "health.not_well"


def test_something_else_that_listens_there_is_not_the_agent(webhooks: Receiver) -> None:
    webhooks.answers.append(Answer(status=404, body=b"<html>"))
    with pytest.raises(HealthError, match=r"answered 404$"):
        ask("/livez", host="127.0.0.1", port=port_of(webhooks))


def test_a_port_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HealthError, match="Connection refused") as caught:
        ask("/livez", host="127.0.0.1", port=port)
    assert caught.value.code == "health.no_answer"


def test_a_port_that_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(HealthError, match="it does not speak HTTP"):
            ask("/livez", host="127.0.0.1", port=listener.getsockname()[1])
        thread.join()


def test_a_free_port_cannot_be_known() -> None:
    with pytest.raises(HealthError) as caught:
        ask("/livez", host="127.0.0.1", port=0)
    assert caught.value.code == "health.port"
