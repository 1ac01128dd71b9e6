"""The page's server without a browser: every skill, and every way to ask it wrongly."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq import ManagerTower
from mt_fairseq.demo.__main__ import main
from mt_fairseq.demo.application import MOST_BYTES, MOST_REPLIES, Application
from mt_fairseq.demo.pictures import MOST_TO_PICK, MOST_UPLOADS, pictures_to_pick
from mt_fairseq.demo.server import Server, is_loopback
from mt_fairseq.errors import UserError
from tests import support

CAPTIONS = ["a red square on a grey ground", "a blue square", "a green square"]


@pytest.fixture(scope="module")
def hub(caption_checkpoint: Path) -> ManagerTower:
    return ManagerTower.from_pretrained(caption_checkpoint)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("picture") / "red.png"
    support.draw_square(path, "red", 0)
    return path.read_bytes()


@pytest.fixture
def application(hub: ManagerTower) -> Application:
    return Application(hub, [])


@pytest.fixture
def port(application: Application) -> Iterator[int]:
    """A running server."""
    with Server("127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve, args=(application,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def send(
    port: int, method: str, path: str, body: bytes | str | None = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    content = response.read()
    kept = dict(response.getheaders())
    if kept["Content-Type"] == "application/json":
        content = json.loads(content)
    return response.status, content, kept


def names(reply: dict[str, Any]) -> list[str]:
    return [row["name"] for row in reply["rows"]]


def test_every_skill_gives_what_the_model_says(
    application: Application, hub: ManagerTower, data: bytes
) -> None:
    key = application.upload("red.png", data)["id"]
    matched = application.ask("match", key, CAPTIONS[0])
    probability = hub.match(data, CAPTIONS[0])
    assert matched["rows"][0] == {"name": "match", "probability": pytest.approx(probability)}
    ranked = application.ask("rank", key, "\n".join([*CAPTIONS, ""]))
    scores = hub.match(data, CAPTIONS)
    order = sorted(range(3), key=lambda i: -scores[i])
    assert names(ranked) == [CAPTIONS[i] for i in order]
    filled = application.ask("fill_mask", key, "a <mask> square")
    assert names(filled) == [token for token, _ in hub.fill_mask(data, "a <mask> square", topk=5)]
    assert [skill["name"] for skill in application.describe()["skills"]] == [
        "match", "rank", "fill_mask"
    ]  # fmt: skip
    with pytest.raises(UserError, match="can't be asked to 'answer'"):
        application.ask("answer", key, "what ?")
    with pytest.raises(UserError, match="2 to 50 captions"):
        application.ask("rank", key, CAPTIONS[0])


def test_figures_of_a_reply(application: Application, data: bytes) -> None:
    key = application.upload("red.png", data)["id"]
    reply = application.ask("fill_mask", key, "a <mask> square")
    (_, number, name), *_ = [address.split("/") for address in reply["figures"]]
    assert application.figure(number, name)[:4] == b"\x89PNG"
    with pytest.raises(UserError, match="ask again"):
        application.figure(number, "none")


def test_what_is_kept_is_bounded(application: Application, data: bytes) -> None:
    keys = [application.upload(f"{i}.png", data)["id"] for i in range(MOST_UPLOADS + 1)]
    with pytest.raises(UserError, match="choose one again"):
        application.ask("match", keys[0], "a square")
    for _ in range(MOST_REPLIES + 1):
        last = application.ask("match", keys[-1], "a square")["figures"]
    assert len(application._drawings) == MOST_REPLIES
    assert last[0] == f"figures/{MOST_REPLIES}/weights"


def test_upload_and_ask_over_http(port: int, hub: ManagerTower, data: bytes) -> None:
    status, page, headers = send(port, "GET", "/")
    assert status == 200 and b"<textarea" in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for path in ("/page.js", "/page.css"):
        assert send(port, "GET", path)[0] == 200
    _, kept, _ = send(port, "POST", "/pictures", data, X_File_Name="r%C3%B6t.png")
    assert kept["name"] == "röt.png"
    assert send(port, "GET", f"/pictures/{kept['id']}")[1][:4] == b"\x89PNG"
    question = json.dumps({"skill": "match", "picture": kept["id"], "text": CAPTIONS[0]})
    _, reply, _ = send(port, "POST", "/ask", question)
    assert reply["rows"][0]["probability"] == pytest.approx(hub.match(data, CAPTIONS[0]))
    assert send(port, "GET", "/" + reply["figures"][0])[1][:4] == b"\x89PNG"


def test_bad_requests_are_refused_in_words(port: int, data: bytes) -> None:
    status, content, _ = send(port, "POST", "/pictures", data[:60], X_File_Name="cut.png")
    assert status == 400 and content["error"].startswith("cut.png: ")
    status, content, _ = send(port, "POST", "/pictures", b"")
    assert status == 400 and "empty" in content["error"]
    question = json.dumps({"skill": "match", "picture": "u9", "text": "x"})
    status, content, _ = send(port, "POST", "/ask", question)
    assert status == 400 and "choose one again" in content["error"]
    for body in ("no json", "[]", '{"skill": "match"}'):
        assert send(port, "POST", "/ask", body)[0] == 400
    for path in ("/none", "/pictures", "/page/index.html", "/../server.py", "/%2e%2e/server.py"):
        assert send(port, "GET", path)[0] == 404
    assert send(port, "POST", "/none", b"x")[0] == 404


def test_questions_hold_texts_alone(port: int, data: bytes) -> None:
    """Nothing is turned into a text: null was asked as "None"."""
    key = send(port, "POST", "/pictures", data)[1]["id"]
    for text in (None, 5, ["a square"]):
        question = json.dumps({"skill": "match", "picture": key, "text": text})
        status, content, _ = send(port, "POST", "/ask", question)
        assert status == 400 and "must be strings" in content["error"]
    question = json.dumps({"skill": "match", "picture": key, "text": "half \ud800"})
    status, content, _ = send(port, "POST", "/ask", question)
    assert status == 400 and "half a surrogate pair" in content["error"]
    status, content, _ = send(port, "POST", "/ask", "[" * 50_000)
    assert status == 400 and "not a question" in content["error"]


@pytest.mark.parametrize("length", ["²", "x", "-1", "9" * 5000])
def test_lengths_that_are_no_numbers(port: int, length: str) -> None:
    status, content, _ = send(port, "POST", "/ask", b"", Content_Length=length)
    assert status == 411 and "not a number" in content["error"]


def test_too_long_uploads_are_refused_unread(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        head = f"POST /pictures HTTP/1.1\r\nHost: localhost\r\nContent-Length: {MOST_BYTES + 1}"
        connection.sendall(f"{head}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b" 413 " in answer and b"the limit is 25.0 MB" in answer


def test_other_sites_are_refused(port: int) -> None:
    assert send(port, "GET", "/state", Host="example.org")[0] == 403
    assert send(port, "GET", "/state", Host=f"localhost:{port}")[0] == 200
    own = f"127.0.0.1:{port}"
    assert send(port, "POST", "/ask", "{}", Host=own, Origin="http://example.org")[0] == 403
    assert send(port, "POST", "/ask", "{}", Host=own, Origin="null")[0] == 403
    assert send(port, "POST", "/ask", "{}", Host=own, Origin=f"http://{own}")[0] == 400


def test_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.0.0.2", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.2", "example.org", "")))


def test_pictures_to_pick(
    data: bytes, vqa_bin: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(MOST_TO_PICK + 2):
        (tmp_path / f"{number:02}.png").write_bytes(data)
    (tmp_path / "00.png").write_bytes(data[:50])
    (tmp_path / "text.txt").write_text("no picture")
    found = pictures_to_pick(tmp_path)
    assert [one.name for one in found] == [f"{n:02}.png" for n in range(1, MOST_TO_PICK + 1)]
    assert "00.png" in caplog.text
    of_data = pictures_to_pick(vqa_bin)
    assert len(of_data) == 7
    assert {one.text for one in of_data} == {"what colour is the square in the picture ?"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        pictures_to_pick(tmp_path / "empty")
    with pytest.raises(UserError, match="no such folder"):
        pictures_to_pick(tmp_path / "none")


def test_mistakes_at_the_start(caption_checkpoint: Path, hub: ManagerTower) -> None:
    with Server("127.0.0.1", 0) as taken, pytest.raises(UserError, match="can't listen there"):
        main([str(caption_checkpoint), "--port", str(taken.server_address[1])])
    with pytest.raises(UserError, match="--port 70000: must be at most 65535"):
        main([str(caption_checkpoint), "--port", "70000"])
    bare = ManagerTower.from_pretrained(caption_checkpoint)
    del bare.model.heads["itm"], bare.model.heads["mlm"]
    with pytest.raises(UserError, match=r"heads \(none\) can't be asked"):
        Application(bare, [])
