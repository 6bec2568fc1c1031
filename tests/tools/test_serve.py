"""A run over HTTP: answers, refusals, bad requests, the page, and the end."""

import concurrent.futures
import contextlib
import http.client
import io
import json
import shutil
import signal
import socket
import time

import bad_requests
import drawn_trees
import headless_browser
import psutil
import pytest
import road
import starts
from PIL import Image

from geods import errors
from tools import benchmark_serve
from tools.benchmarks import contenders_serve
from trainers.serving import server_options, web

LIMIT_S, QUEUE = 2, 4
JPEG = {"Content-Type": "image/jpeg"}


@pytest.fixture(scope="module")
def run(run_dir, tmp_path_factory):
    """The small pipeline's run, with regions."""
    folder = tmp_path_factory.mktemp("served") / "run"
    shutil.copytree(run_dir, folder)
    (folder / "calibration.json").write_text('{"temperature": 1.2, "level": 0.9, "mass": 0.6}')
    return folder


@contextlib.contextmanager
def serving(run, *flags):
    """Starts the server; gives the process and its port."""
    with road.started("tools.serve", f"--run_dir={run}", "--port=0", *flags) as server:
        server.wait_to_say("stop it with Ctrl-C")
        yield server, int(server.stdout.split("http://127.0.0.1:")[1].split(";")[0])


@pytest.fixture(scope="module")
def server(run):
    with serving(run, f"--time_limit_s={LIMIT_S}", "--max_mb=1", f"--queue={QUEUE}") as (process, port):
        yield process, port
        process.send(signal.SIGINT)
        assert process.wait(30) == 0
        # TensorFlow's decoder prints of JPEGs that are damaged and can be read.
        assert [line for line in process.stderr.splitlines() if not line.startswith("Corrupt JPEG data")] == []


@pytest.fixture(scope="module")
def port(server):
    return server[1]


def ask(port, method, path, body=None, headers=None):
    """Returns status, headers and body."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def form(*files):
    """Returns the body and headers of a form with these (name, bytes)."""
    parts = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="image"; filename="%s"\r\n\r\n%s\r\n' % (name.encode(), content)
        for name, content in files
    )
    return parts + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """JPEGs: upright; stored turned, of another size; grey; a sphere."""
    folder = tmp_path_factory.mktemp("photographs")
    turned = Image.Exif()
    turned[0x0112] = 6
    theta = Image.Exif()
    theta[0x010F], theta[0x0110] = "RICOH", "RICOH THETA S"
    for number, (size, mode, exif) in enumerate(
        [((48, 32), "RGB", None), ((90, 130), "RGB", turned), ((60, 40), "L", None), ((256, 128), "RGB", theta)]
    ):
        image = road.draw(40.0, -100.0 - number, 0).resize(size).convert(mode)
        content = io.BytesIO()
        image.save(content, "JPEG", **({"exif": exif} if exif else {}))
        (folder / f"{number}.jpg").write_bytes(content.getvalue())
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def place(tree_dir, tmp_path_factory):
    """A tree of one location with three views."""
    views = next(one for one in sorted(tree_dir.glob("*/*,*")) if len(list(one.iterdir())) == 3)
    root = tmp_path_factory.mktemp("place")
    shutil.copytree(views, root / views.parent.name / views.name)
    return root


@pytest.fixture(scope="module")
def lines(run, photographs, place):
    """Lines of tools.predict on the photographs and the location."""
    done = road.program("tools.predict", f"--run_dir={run}", "--all_cells", "--views=all", *photographs, place)
    return [json.loads(line) for line in done.stdout.splitlines()]


def same(body, line):
    """Compares an answer with a line of tools.predict, but for names and truth."""
    found = json.loads(body)
    assert set(line) - set(found) <= {"location", "true_lat_deg", "true_lon_deg", "distance_km", "distance_miles"}
    assert (found["lat_deg"], found["lon_deg"]) == (line["lat_deg"], line["lon_deg"])
    assert [cell["cell"] for cell in found["top_cells"]] == [cell["cell"] for cell in line["top_cells"]]
    assert found["probabilities"] == pytest.approx(line["probabilities"], abs=1e-6)
    assert (found["region"], found["views"]) == (line["region"], line["views"])


def test_answers_are_the_lines_of_predict(port, photographs, lines):
    def located(path):
        status, headers, body = ask(port, "POST", "/predict?all_cells=1", path.read_bytes(), JPEG)
        assert status == 200
        assert headers["Content-Type"].startswith("application/json")
        assert "Access-Control-Allow-Origin" not in headers
        return body

    for path, line in zip(photographs, lines, strict=False):
        same(located(path), line)
    # Of requests that come together, each gets its own.
    with concurrent.futures.ThreadPoolExecutor(QUEUE) as pool:
        for body, line in zip(pool.map(located, photographs), lines, strict=False):
            same(body, line)


def test_views_of_a_location_are_one_answer(port, place, lines):
    views = [(path.name, path.read_bytes()) for path in sorted(place.rglob("*.jpg"))]
    body, headers = form(*views)
    answer = ask(port, "POST", "/predict?all_cells=1&map=1", body, headers)[2]
    same(answer, lines[-1])
    found = json.loads(answer)
    assert (found["file"], found["views"], len(found["top_cells"])) == (views[0][0], 3, 5)
    assert len(found["map"]["region_cells"]) == found["region"]["cells"]


def test_pages_say_what_the_run_is(run, port):
    assert ask(port, "GET", "/health")[2] == b'{"status": "ok"}\n'
    facts = json.loads(ask(port, "GET", "/model")[2])
    assert (facts["cells"], facts["image"], facts["encoder"]) == (15, {"height_px": 32, "width_px": 48}, "report_cnn")
    assert facts["region"]["level"] == 0.9
    assert facts["figures"] == "not evaluated"
    for path in ("/", "/map"):
        _, headers, page = ask(port, "GET", path)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert page.count(b"<path d=") == 15
    assert ask(port, "HEAD", "/")[2] == b""
    assert ask(port, "GET", "/", headers={"If-None-Match": headers["ETag"]})[0] == 304


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "problem"),
    [
        ("GET", "/predict", None, {}, 405, "GET /predict: method not allowed."),
        ("BREW", "/health", None, {}, 405, "BREW /health: method not allowed."),
        ("GET", "/../etc/passwd", None, {}, 404, "/../etc/passwd: there is no such path."),
        ("POST", "/predict", b"", JPEG, 400, "the request holds 0 photographs, not 1 to 32."),
        ("POST", "/predict?top=0", b"x", JPEG, 400, "top=0: is not a whole number from 1 on."),
        ("POST", "/predict?top=%F0", b"x", JPEG, 400, "POST /predict: bad request."),
        ("POST", "/predict?map=maybe", b"x", JPEG, 400, "map=maybe: is not 1 or 0."),
        ("POST", "/predict", drawn_trees.png(), JPEG, 415, "photograph.jpg: is a PNG, not a JPEG."),
        ("POST", "/predict", drawn_trees.jpeg(0)[:-200], JPEG, 422, "photograph.jpg: is truncated."),
        ("POST", "/predict", b"x", {"Content-Type": "text/html"}, 415, "Content-Type 'text/html': is neither"),
        ("POST", "/predict", *form(("a.jpg", b"")), 415, "a.jpg: is empty (0 bytes)."),
        ("POST", "/predict", b"x", {"Content-Type": "multipart/form-data"}, 400, "the form cannot be read"),
        ("POST", "/predict", bytes(1_100_000), JPEG, 413, "the request is larger than 1 MB."),
        ("POST", "/predict", iter([bytes(600_000)] * 2), JPEG, 413, "the request is larger than 1 MB."),
        ("GET", "/health", None, {"Host": "a.example"}, 403, "Host 'a.example': is no name of this server."),
        ("POST", "/predict", b"x", {"Origin": "http://a.example"}, 403, "Origin 'http://a.example': is another site."),
    ],
    ids=lambda value: value.split("?")[0] if isinstance(value, str) and len(value) < 40 else "",
)
def test_refusals_say_why_and_what_to_do(port, method, path, body, headers, status, problem):
    found, sent, content = ask(port, method, path, body, headers)
    assert found == status
    answer = json.loads(content)
    assert answer["problem"].startswith(problem)
    assert answer["next_step"]
    assert "printed" not in answer["next_step"]
    assert (sent["Allow"] is not None) == (status == 405)


def test_what_does_not_fit_into_the_queue_is_refused(port):
    content = drawn_trees.jpeg(0, 1200, 1200)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60)) for _ in range(24)]
        for last in (0, 1):
            for client in clients:
                client.sendall(content[-1:] if last else (head % len(content)) + content[:-1])
        answers = [client.recv(65_536) for client in clients]
    assert {int(answer[9:12]) for answer in answers} == {200, 503}
    refused = next(answer for answer in answers if b" 503 " in answer)
    assert b"Retry-After: 1\r\n" in refused
    assert b'"problem": "4 requests are waiting already."' in refused


def test_no_bad_request_is_left_unanswered_or_keeps_memory(server, tmp_path, photographs):
    process, port = server
    contents = bad_requests.bodies(tmp_path)
    assert len(contents) > 100
    before = psutil.Process(process.pid).memory_info().rss
    counts = bad_requests.flood(("127.0.0.1", port), 200, contents, LIMIT_S)
    assert set(counts) == set(bad_requests.KINDS)
    assert ask(port, "POST", "/predict", photographs[0].read_bytes(), JPEG)[0] == 200
    # What TensorFlow keeps of large images; soak_serve.py shows that more requests keep no more.
    assert psutil.Process(process.pid).memory_info().rss - before < 200e6
    assert len(psutil.Process(process.pid).net_connections()) < 10


def test_what_is_in_flight_is_answered_at_the_end(run):
    content = drawn_trees.jpeg(1, 40, 60)
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content)
    (run / "map.html").write_text("<p>drawn</p>")
    with serving(run) as (server, port), socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        # The map that tools.render wrote has a policy of its own, for the script inside it.
        _, headers, page = ask(port, "GET", "/map")
        assert (page, headers["Content-Security-Policy"]) == (b"<p>drawn</p>", "")
        client.sendall(head + content[:100])
        # The request is in flight once its headers were read.
        time.sleep(0.3)
        server.send(signal.SIGTERM)
        while listens(port):
            time.sleep(0.02)
        client.sendall(content[100:])
        assert client.recv(65_536).startswith(b"HTTP/1.1 200 OK")
        assert server.wait(30) == 0
        assert server.stderr == ""


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@headless_browser.needs_browser
def test_a_photograph_on_the_page_appears_on_the_map(port, photographs, tmp_path):
    # The server's queue is short, and its time limit too, so the page is asked for in a window of its own.
    with headless_browser.browser(tmp_path / "profile") as page:
        page.resize(390, 844)
        page.open(f"http://127.0.0.1:{port}/")
        assert page.run("return document.documentElement.scrollWidth") <= 390
        page.choose("#files", *photographs[:2])
        page.until("return !document.getElementById('answer').hidden")
        body, headers = form(*((path.name, path.read_bytes()) for path in photographs[:2]))
        found = json.loads(ask(port, "POST", "/predict?map=1", body, headers)[2])
        text = "return document.getElementById(arguments[0]).textContent"
        assert page.run(text, "point") == f"{found['lat_deg']:.2f},\u00a0{found['lon_deg']:.2f}"
        assert page.run(text, "region").startswith(f"{found['region']['cells']}\u00a0cell")
        assert page.run("return document.getElementById('region-cells').childElementCount") == found["region"]["cells"]
        assert page.run("return document.querySelectorAll('#views img').length") == 2
        # The mark lies on the map, in the most probable cell or beside it.
        inside = (
            "const [m, b] = ['predicted-mark', 'map'].map((id) => document.getElementById(id).getBoundingClientRect());"
        )
        assert page.run(
            inside + "return m.width > 0 && m.x > b.x && m.right < b.right && m.y > b.y && m.bottom < b.bottom"
        )
        page.choose("#files", str(shutil.copy(__file__, tmp_path / "notes.jpg")))
        assert "is not a JPEG" in page.until("return document.querySelector('#status.wrong')?.textContent")
        assert page.run("return document.getElementById('answer').hidden")
        asked = [address for address in page.requested() if not address.startswith("blob:")]
        assert all(address.startswith(f"http://127.0.0.1:{port}/") for address in asked)
        assert [entry["message"] for entry in page.logs("browser") if "415" not in entry["message"]] == []


def test_the_benchmark_asks_as_many_clients_do(run, port, photographs, tmp_path):
    images, times = list(map(str, photographs[:3])), tmp_path / "times.jsonl"
    clients = contenders_serve.Clients(port, images, 10, QUEUE, str(times))
    assert [clients.run(), clients.run()] == [10, 10]
    assert [len(json.loads(line)) for line in times.read_text().splitlines()] == [10, 10]
    p50_ms, p99_ms = map(float, benchmark_serve.percentiles(times))
    assert 0 <= p50_ms <= p99_ms
    assert contenders_serve.Network(str(run), images, 10, 4).run() == 12
    assert contenders_serve.Files(str(run), images, 10, 4, views=3).run() == 10
    with pytest.raises(errors.BenchmarkError, match="answered 415"):
        contenders_serve.Clients(port, [__file__], 1, 1, str(times)).run()


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ([], "--run_dir: is empty."),
        (["--run_dir={run}", "--port=70000"], "--port=70000: is not from 0 to 65535."),
        (["--run_dir={run}", "--max_mb=0"], "--max_mb=0: is not above 0 and below 1,000,000."),
        (["--run_dir={run}", "--queue=0"], "--queue=0"),
        (["--run_dir={empty}"], "holds no flags.cfg, partition.geojson, model.keras; it is not a finished run."),
        (["--run_dir={run}", "--port={port}"], "cannot be listened on (Address already in use)."),
        (["--run_dir={run}", "--host=no.such.name.invalid"], "is no address of this machine"),
        (["--run_dir={run}", "--host=192.0.2.1"], "cannot be listened on (Cannot assign requested address)."),
    ],
)
def test_wrong_words_are_answered_before_anything_slow(run, port, tmp_path, flags, problem):
    words = [flag.format(run=run, empty=tmp_path, port=port) for flag in flags]
    done = starts.run(["python", "-m", "tools.serve", *words])
    assert done.returncode == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_a_host_that_others_reach_is_said(capsys):
    server = web.Server(server_options.ServerOptions(host="0.0.0.0", port=0))  # noqa: S104
    for one in server._sockets:
        one.close()
    assert server.url.startswith("http://localhost:")
    assert capsys.readouterr().err == "--host=0.0.0.0: every machine that reaches this one can use it\n"
