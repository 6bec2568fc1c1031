"""One GET: the request, its receiver, and the part of the response kept."""

import email.utils
import threading
import time
import urllib.parse

import pytest
import scripted_server
from canary import CANARY, assert_clean, whole_text
from transport_client import BODY, KEY, QUICK, client, everything, get

from geods import errors
from geods.imagery.http import api_key, signing, transport

__all__ = ["client", "everything"]


def test_a_whole_answer_and_what_was_sent(client):
    with scripted_server.serving(lambda at: at.reply(200, BODY, "Image/JPEG; a=b", Retry_After="7")) as server:
        answer = get(client, server, secret_headers={"Authorization": api_key.Secret(f"OAuth {CANARY}")})
    assert answer == transport.Answer(200, BODY, "image/jpeg", len(BODY), 7.0)
    assert server.requests == [f"/a?location=1%2C2&key={urllib.parse.quote_plus(CANARY)}"]
    assert server.headers[0]["Authorization"] == f"OAuth {CANARY}"
    assert server.headers[0]["User-Agent"].startswith("geods")
    assert server.headers[0]["Accept-Encoding"] == "identity"
    assert "Cookie" not in server.headers[0]


def test_a_signature_is_of_what_is_sent_and_comes_last(client):
    signer = api_key.Secret("vNIXE0xscrmjlyV-12Nj_BvUPaw=")
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


def test_a_body_without_length_ends_with_the_connection(client):
    with scripted_server.serving(lambda at: at.reply(200, BODY, length="")) as server:
        answer = get(client, server)
    assert answer.content == BODY
    assert answer.content_length is None


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
