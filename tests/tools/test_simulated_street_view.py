"""python -m tools.simulated_street_view as a process of its own."""

import contextlib
import http.client
import json
import signal
import subprocess
import sys

import checkout
import pytest
import starts

from geods.simulation.server import server_options, street_view_server

COMMAND = [sys.executable, "-m", "tools.simulated_street_view"]
METADATA = f"/maps/api/streetview/metadata?location=40,-100&radius=10000&key={server_options.DEMO_KEY}"


@contextlib.contextmanager
def started(*flags):
    """Gives the process and its port, taken from the line it prints first."""
    with subprocess.Popen(
        [*COMMAND, *flags], cwd=checkout.REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as at:
        try:
            line = at.stdout.readline()
            assert line.startswith("simulated Street View at http://127.0.0.1:")
            yield at, int(line.rsplit(":", 1)[1])
        finally:
            at.kill()


def get(port, path):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize(("number", "processes"), [(signal.SIGINT, 1), (signal.SIGTERM, 2)])
def test_it_serves_until_it_is_told_to_stop(number, processes):
    with started("--port=0", "--picture=tiled", f"--processes={processes}") as (server, port):
        assert get(port, "/healthz") == (200, b"ok\n")
        record = json.loads(get(port, METADATA)[1])
        assert record["status"] == "OK"
        image = f"/maps/api/streetview?pano={record['pano_id']}&size=96x48&key={server_options.DEMO_KEY}"
        status, content = get(port, image)
        assert (status, content[:2]) == (200, b"\xff\xd8")
        with street_view_server.serving(server_options.ServerOptions(picture="tiled")) as threads:
            assert content == get(threads.server_port, image)[1]
        assert json.loads(get(port, "/__fake__/stats")[1])["unique_images"] == 1
        server.send_signal(number)
        assert server.wait(timeout=10) == 0
        assert server.stdout.read().splitlines() == [
            f"export GOOGLE_MAPS_API_KEY={server_options.DEMO_KEY}",
            f"ledger: http://127.0.0.1:{port}/__fake__/stats",
            "2 requests, 1 different images sent, 1 billable",
        ]
        assert not server.stderr.read()


def test_faults_keys_and_quotas_are_flags(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text('[{"kind": "http_500", "first_n_attempts": 1}]')
    with started("--port=0", f"--faults={path}", "--keys=one,two", "--queries_per_minute=2") as (_, port):
        asked = METADATA.replace(server_options.DEMO_KEY, "two")
        assert get(port, asked)[0] == 500
        assert json.loads(get(port, asked)[1])["status"] in ("OK", "ZERO_RESULTS")
        assert json.loads(get(port, asked)[1])["status"] == "OVER_QUERY_LIMIT"
        assert json.loads(get(port, METADATA)[1])["status"] == "REQUEST_DENIED"


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--faults=none.json", "none.json: does not exist."),
        ("--port=70000", "--port=70000: is not from 0 to 65535."),
        ("--radius_leak=2", "--radius_leak=2.0: is not from 0 to 1."),
    ],
)
def test_a_wrong_flag_is_answered_in_words(flag, words):
    done = starts.run([*COMMAND, flag])
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {words}"
    assert len(done.stderr.splitlines()) == 2
