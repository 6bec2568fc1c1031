"""One GET, against a server that fails in the ways servers fail; nothing leaves this machine."""

import email.utils
import socket
import threading
import time
import urllib.parse

import pytest
import scripted_server
from canary import CANARY, assert_clean, listening, whole_text

from geods import errors
from geods.imagery import secret, signing, transport

KEY = secret.Secret(CANARY)
QUICK = transport.Limits(connect_s=1, read_s=0.3, answer_s=0.8, max_bytes=100_000)
BODY = bytes(range(256)) * 40


@pytest.fixture
def client():
    made = transport.Transport(QUICK)
    yield made
    made.close()


@pytest.fixture
def everything(capfd):
    """Collects what any logger says at DEBUG; returns all output so far."""
    with listening() as stream:
        yield lambda: stream.getvalue() + "".join(capfd.readouterr())


def get(client, server, **keywords) -> transport.Answer:
    return client.get(f"{server.url}/a", {"location": "1,2"}, secret_params={"key": KEY}, **keywords)


def test_a_whole_answer_and_what_was_sent(client):
    with scripted_server.serving(lambda at: at.reply(200, BODY, "Image/JPEG; a=b", Retry_After="7")) as server:
        answer = get(client, server, secret_headers={"Authorization": secret.Secret(f"OAuth {CANARY}")})
    assert answer == transport.Answer(200, BODY, "image/jpeg", len(BODY), 7.0)
    assert server.requests == [f"/a?location=1%2C2&key={urllib.parse.quote_plus(CANARY)}"]
    assert server.headers[0]["Authorization"] == f"OAuth {CANARY}"
    assert server.headers[0]["User-Agent"].startswith("geods")
    assert server.headers[0]["Accept-Encoding"] == "identity"
    assert "Cookie" not in server.headers[0]


def test_a_signature_is_of_what_is_sent_and_comes_last(client):
    signer = secret.Secret("vNIXE0xscrmjlyV-12Nj_BvUPaw=")
    with scripted_server.serving(lambda at: at.reply()) as server:
        get(client, server, signing_secret=signer)
    unsigned, _, signature = server.requests[0].rpartition("&signature=")
    assert signature == signing.sign(unsigned, signer)


def test_an_answer_does_not_show_its_content():
    assert "abc" not in repr(transport.Answer(200, b"abc"))


def test_a_thread_keeps_its_connection_and_no_other(client):
    ports = []

    def script(at):
        ports.append((threading.current_thread().name, at.client_address[1]))
        at.reply(200, BODY)

    with scripted_server.serving(script) as server:
        for _ in range(3):
            get(client, server)
        other = threading.Thread(target=get, args=(client, server))
        other.start()
        other.join()
    assert len(set(ports)) == 2


def test_no_cookie_is_kept(client):
    with scripted_server.serving(lambda at: at.reply(200, Set_Cookie="a=b")) as server:
        get(client, server)
        get(client, server)
    assert "Cookie" not in server.headers[1]


@pytest.mark.parametrize("status", [204, 400, 403, 404, 429, 500, 503])
def test_any_status_is_an_answer(client, status):
    with scripted_server.serving(lambda at: at.reply(status, b"", Retry_After="3")) as server:
        assert get(client, server).status == status
        assert len(server.requests) == 1


def test_a_redirect_is_not_followed_and_its_body_not_read_without_end(client):
    def redirect(at):
        host = at.headers["Host"].replace("127.0.0.1", "localhost")
        at.reply(302, BODY, "text/html", Location=f"http://{host}/b?key={CANARY}")

    with scripted_server.serving(redirect) as server:
        assert get(client, server).status == 302
        assert len(server.requests) == 1
        server.script = lambda at: at.reply(302, BODY * 100, "text/html", Location="/b")
        with pytest.raises(errors.SourceRetry, match="sent more than 100,000 bytes"):
            get(client, server)


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


def test_a_body_without_length_ends_with_the_connection(client):
    with scripted_server.serving(lambda at: at.reply(200, BODY, length="")) as server:
        answer = get(client, server)
    assert answer.content == BODY
    assert answer.content_length is None


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


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(client, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with scripted_server.serving(lambda at: at.reply(200, BODY)) as server:
        assert get(client, server).content == BODY


def test_a_proxy_of_the_environment_is_used_for_the_rest_and_sees_no_key(client, monkeypatch, everything):
    lines = []

    class Proxy(scripted_server.Exchange):
        def do_CONNECT(self):  # noqa: N802 - named by http.server
            lines.append(self.requestline.rpartition(" ")[0])
            self.drip(b"HTTP/1.1 200 " + b"x" * 1000)

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    with scripted_server.serving(lambda at: at.reply(200)) as server:
        server.RequestHandlerClass = Proxy
        monkeypatch.setenv("HTTPS_PROXY", server.url)
        with pytest.raises(errors.SourceRetry, match=r"maps.invalid/a: ") as caught:
            client.get("https://maps.invalid/a", secret_params={"key": KEY})
    assert lines == ["CONNECT maps.invalid:443"]
    assert time.monotonic() - began < QUICK.answer_s + 0.7
    assert_clean(whole_text(caught.value) + everything())


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0),
        ("120", None, 120),
        ("Wed, 21 Oct 2015 07:28:30 GMT", "Wed, 21 Oct 2015 07:28:00 GMT", 30),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:30 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "no date", 0),
        ("-1", None, None),
        ("1e9", None, None),
        ("soon", None, None),
        ("", None, None),
        ("9" * 40, None, None),
    ],
)
def test_retry_after(client, value, date, seconds):
    def script(at):
        at.wfile.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n")
        at.wfile.write(f"Retry-After: {value}\r\n".encode() + (f"Date: {date}\r\n".encode() if date else b"") + b"\r\n")

    with scripted_server.serving(script) as server:
        assert get(client, server).retry_after_s == seconds


def test_retry_after_as_a_date_counts_from_now(client):
    until = email.utils.formatdate(time.time() + 60, usegmt=True)
    with scripted_server.serving(lambda at: at.reply(503, Retry_After=until)) as server:
        assert get(client, server).retry_after_s == pytest.approx(60, abs=3)


def test_a_malformed_length_counts_as_none(client):
    with scripted_server.serving(lambda at: at.reply(200, b"abc", length="three")) as server:
        answer = get(client, server)
    assert answer == transport.Answer(200, b"abc", "image/jpeg")


@pytest.mark.parametrize(
    "url",
    [
        "http://maps.googleapis.com/a",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1@example.com",
        "https://user:pass-word@example.com",
        "ftp://127.0.0.1/a",
        "127.0.0.1/a",
        "https://",
        "https://[::1",
        "http://127.0.0.1:port",
        "",
    ],
)
def test_urls_that_would_give_the_key_away_are_refused(client, url):
    with pytest.raises(errors.OptionError, match=r"URL .*: must begin with https:// and a host") as caught:
        client.get(url, secret_params={"key": KEY})
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize("name", ["connect_s", "read_s", "answer_s", "max_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_are_above_0(name, value):
    with pytest.raises(errors.OptionError, match=f"{name}={value}: must be above 0"):
        transport.Limits(**{name: value})


def test_many_threads_share_one_transport(client):
    found = []

    def work(server, number):
        for turn in range(20):
            text = f"{number}-{turn}"
            found.append(client.get(f"{server.url}/{text}").content.decode() == f"/{text}")

    with scripted_server.serving(lambda at: at.reply(200, at.path.encode())) as server:
        threads = [threading.Thread(target=work, args=(server, number)) for number in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert found == [True] * 160
