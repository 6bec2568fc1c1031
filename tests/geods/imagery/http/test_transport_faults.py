"""One GET against failing servers: ends in time, repeatable, shows no key."""

import socket
import time

import pytest
import scripted_server
from canary import assert_clean, whole_text
from transport_client import BODY, KEY, QUICK, client, everything, get

from geods import errors
from geods.imagery.http import transport

__all__ = ["client", "everything"]


def never(at):
    at.server.stopped.wait(10)


def drip_headers(at):
    at.drip(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nX: " + b"x" * 500)


def drip_body(at):
    at.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    at.drip(bytes(1000))


def drip_chunks(at):
    at.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    at.drip(b"1\r\nx\r\n" * 300)


def stall(at):
    at.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n12345")
    never(at)


@pytest.mark.parametrize("script", [never, drip_headers, drip_body, drip_chunks, stall])
def test_slow_answers_end_in_time(client, everything, script):
    began = time.monotonic()
    with scripted_server.serving(script) as server, pytest.raises(errors.SourceRetry) as caught:
        get(client, server)
    assert time.monotonic() - began < QUICK.answer_s + 0.7
    assert caught.value.problem == ("127.0.0.1/a: did not answer in time (1 s to connect, 0.3 s a read, 0.8 s in all).")
    assert caught.value.cause == "network"
    assert caught.value.after_s is None
    assert_clean(whole_text(caught.value) + everything())


def test_a_steady_answer_may_take_longer_than_one_read():
    patient = transport.Transport(transport.Limits(read_s=0.3, answer_s=20))

    def script(at):
        at.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n")
        at.drip(bytes(25))

    with scripted_server.serving(script) as server:
        assert get(patient, server).content == bytes(25)
    patient.close()


def reset_before(at):
    at.reset()


def reset_in_body(at):
    at.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + bytes(5000))
    at.wfile.flush()
    time.sleep(0.05)
    at.reset()


def close_at_once(at):
    at.close_connection = True


def truncate(at):
    at.reply(200, BODY[:5000], length=len(BODY))


def truncate_chunks(at):
    at.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + bytes(100))
    at.close_connection = True


def not_http(at):
    at.wfile.write(b"220 mail.example ESMTP\r\n")
    at.close_connection = True


def compressed(at):
    at.reply(200, b"\x1f\x8b", Content_Encoding="gzip")


def announce_too_much(at):
    at.reply(200, b"", length=50_000_000)


def send_too_much(at):
    at.reply(200, bytes(50_000_000), length="")


def bad_headers(at):
    # urllib3 warns of these with the whole URL.
    at.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n: no name\r\nno colon\r\n\r\nabc")
    at.reset()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (reset_before, "the connection broke off"),
        (reset_in_body, "the connection broke off"),
        (close_at_once, "the connection broke off"),
        (truncate, r"the connection broke off|sent 5,000 of 10,240 bytes"),
        (truncate_chunks, "the connection broke off"),
        (not_http, "the connection broke off"),
        (compressed, "sent a compressed body"),
        (announce_too_much, "sent more than 100,000 bytes"),
        (send_too_much, "sent more than 100,000 bytes"),
    ],
)
def test_what_is_no_whole_answer_may_be_asked_for_again(client, everything, script, words):
    with scripted_server.serving(script) as server, pytest.raises(errors.SourceRetry, match=words) as caught:
        get(client, server)
    assert len(server.requests) == 1
    assert caught.value.cause == "network"
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert_clean(whole_text(caught.value) + everything())


def test_a_large_body_is_left_before_it_is_read(client):
    sent = []

    def script(at):
        at.reply(200, b"", length="")
        for _ in range(500):
            at.wfile.write(bytes(100_000))
            sent.append(100_000)

    with scripted_server.serving(script) as server:
        with pytest.raises(errors.SourceRetry, match="sent more than"):
            get(client, server)
        server.stopped.wait(0.2)
    assert sum(sent) < 40_000_000


def test_the_next_request_after_each_failure_works(client):
    with scripted_server.serving(lambda at: at.reply(200, BODY)) as server:
        whole = server.script
        for script in (reset_in_body, truncate, drip_body, send_too_much, close_at_once):
            server.script = script
            with pytest.raises(errors.SourceRetry):
                get(client, server)
            server.script = whole
            assert get(client, server).content == BODY


def test_no_log_line_holds_the_key(client, everything):
    with scripted_server.serving(bad_headers) as server:
        assert get(client, server).content == b"abc"
    output = everything()
    assert "GET /a?location=1%2C2&key=***" in output
    assert "Failed to parse headers (url=" in output
    assert_clean(output)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_closed_port_is_named(client, everything, scheme):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}/a"
        with pytest.raises(errors.SourceRetry, match=r"127.0.0.1/a: no connection \(.*refused") as caught:
            client.get(url, secret_params={"key": KEY})
    assert_clean(whole_text(caught.value) + everything())


def test_a_host_that_does_not_speak_tls_is_named(client, everything):
    with scripted_server.serving(lambda at: at.reply()) as server, pytest.raises(errors.SourceRetry) as caught:
        client.get(server.url.replace("http:", "https:"), secret_params={"key": KEY})
    assert "127.0.0.1: no connection (" in caught.value.problem
    assert_clean(whole_text(caught.value) + everything())


def test_a_connection_that_nobody_accepts_ends_in_time(client):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(address)
        with pytest.raises(errors.SourceRetry, match="did not answer in time"):
            client.get(f"http://127.0.0.1:{address[1]}/a", secret_params={"key": KEY})
        for each in waiting:
            each.close()
