"""Over HTTP: limits, tokens, one visitor's files closed to another, Gradio's own doors shut."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.app.web.conftest import wait_for
from vivae.app.web.guard import ROOM_COOKIE, TOKEN_COOKIE, Guard
from vivae.app.web.house import House
from vivae.app.web.rooms import Limits
from vivae.app.web.routes import routes

NAMES = frozenset({"127.0.0.1", "localhost"})


def client_of(house, token=None, names=NAMES):
    app = FastAPI()
    app.router.routes.extend(routes(house))
    app.add_api_route("/", lambda: "the page")
    app.add_api_route("/gradio_api/upload", lambda: "shut", methods=["POST"])
    return TestClient(Guard(app, house.rooms, names, token), base_url="http://127.0.0.1:1")


@pytest.fixture
def small_house(tmp_path):
    found = House(tmp_path, Limits(upload=60_000, clips=3), threads=1)
    yield found
    found.close()


@pytest.fixture
def visit(small_house):
    """A function: a visitor with a room."""

    def visiting():
        client = client_of(small_house)
        assert client.get("/").status_code == 200
        return client

    return visiting


def put(client, content, name="a b.mp4"):
    return client.post("/v/clips", params={"name": name}, content=content)


def uploaded(client, street):
    key = put(client, street.read_bytes()).json()["key"]
    wait_for(lambda: client.get("/v/room").json()["clips"][0]["viewable"])
    return key


def test_a_clip_goes_in_and_comes_out(visit, street):
    client = visit()
    key = uploaded(client, street)
    (clip,) = client.get("/v/room").json()["clips"]
    assert clip["title"] == "a b.mp4"
    assert clip["facts"]["frames"] == 25
    assert client.get(f"/v/clips/{key}/view").content == street.read_bytes()
    part = client.get(f"/v/clips/{key}/view", headers={"range": "bytes=10-19"})
    assert part.status_code == 206
    assert part.content == street.read_bytes()[10:20]
    assert client.get(f"/v/clips/{key}/thumbnail").content[:2] == b"\xff\xd8"
    assert f"/v/clips/{key}/view" in client.get(f"/v/clips/{key}/page").text
    assert client.delete(f"/v/clips/{key}").status_code == 200
    assert client.get("/v/room").json()["clips"] == []
    assert client.get(f"/v/clips/{key}/view").status_code == 422


def test_the_answer_holds_no_path(visit, street, small_house):
    client = visit()
    uploaded(client, street)
    assert str(small_house.rooms.root) not in client.get("/v/room").text


def test_what_is_one_visitors_is_no_others(visit, street):
    client, other = visit(), visit()
    key = uploaded(client, street)
    for what in ("view", "thumbnail", "page"):
        assert other.get(f"/v/clips/{key}/{what}").status_code == 422
    assert other.delete(f"/v/clips/{key}").status_code == 422
    assert other.get("/v/room").json()["clips"] == []
    assert client.get(f"/v/clips/{key}/view").status_code == 200


def test_without_a_room_there_is_nothing(small_house):
    client = client_of(small_house)
    assert client.get("/v/room").status_code == 410
    assert put(client, b"x").status_code == 410


@pytest.mark.parametrize("told", [True, False])
def test_too_large_an_upload_is_refused_and_leaves_nothing(visit, small_house, told):
    client = visit()
    content = b"x" * 60_001
    answer = put(client, content if told else iter([content[:50_000], content[50_000:]]))
    assert answer.status_code == 422
    assert "larger" in answer.json()["error"]
    assert [path for path in small_house.rooms.root.rglob("*") if path.is_file()] == []


def test_an_empty_upload_and_a_wrong_kind_are_refused(visit, small_house):
    client = visit()
    assert "empty" in put(client, b"").json()["error"]
    assert "no kind" in put(client, b"x", "notes.txt").json()["error"]
    assert [path for path in small_house.rooms.root.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_one_sentence(visit, monkeypatch):
    client = visit()
    monkeypatch.setattr("vivae.app.web.house.SPARE", 1 << 60)
    answer = put(client, b"x")
    assert answer.status_code == 422
    assert "disk" in answer.json()["error"]


def test_other_names_and_other_sites_are_refused(small_house):
    client = client_of(small_house)
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
    assert client.get("/", headers={"host": "localhost:99"}).status_code == 200
    assert (
        client.post("/v/clips?name=a.mp4", content=b"x", headers={"sec-fetch-site": "cross-site"}).status_code
        == 403
    )
    assert client_of(small_house, names=None).get("/", headers={"host": "my.machine"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/file=/etc/passwd", "/gradio_api/proxy=http://x", "/docs"]
)
def test_gradios_own_doors_are_shut(visit, path):
    client = visit()
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_large_requests_that_are_no_uploads_are_refused(visit):
    assert visit().post("/v/jobs/x/cancel", content=b"x" * 1_000_001).status_code == 413


def test_a_token_is_asked_for_and_remembered(small_house):
    client = client_of(small_house, token="open sesame")
    for path in ("/", "/v/room", "/v/assets/bench.js"):
        assert client.get(path).status_code == 401
    assert "was not it" in client.get("/", params={"token": "wrong"}).text
    assert client.get("/", params={"token": "open sesame"}).text == '"the page"'
    assert client.get("/v/room").status_code == 200
    assert "open sesame" not in client.cookies[f"{TOKEN_COOKIE}_1"]


def test_cookies_are_for_this_site_and_not_for_scripts(small_house):
    (cookie,) = client_of(small_house).get("/").headers.get_list("set-cookie")
    assert cookie.startswith(ROOM_COOKIE)
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie


def test_pages_may_load_nothing_from_elsewhere(visit):
    policy = visit().get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy


def test_assets_are_those_of_the_package(visit):
    client = visit()
    for name in ("workbench.js", "player.js", "page.css"):
        assert client.get(f"/v/assets/{name}").status_code == 200
    for name in ("nothing.js", "..%2F..%2F__init__.py", "__init__.py"):
        assert client.get(f"/v/assets/{name}").status_code == 404


def test_a_job_and_its_files_are_one_visitors(visit, street, small_house):
    client, other = visit(), visit()
    key = uploaded(client, street)
    room = small_house.rooms.find(client.cookies[f"{ROOM_COOKIE}_1"])
    job = small_house.ask(room, "stylize", {"style": "wave"}, key)
    wait_for(lambda: job.state == "done")
    (told,) = client.get("/v/room").json()["jobs"]
    assert [file["name"] for file in told["files"]] == ["a b-styled.mp4"]
    base = f"/v/jobs/{job.key}"
    answer = client.get(f"{base}/files/0")
    assert "a%20b-styled.mp4" in answer.headers["content-disposition"]
    assert len(answer.content) == told["files"][0]["size"]
    assert client.get(f"{base}/all").content[:2] == b"PK"
    assert f"{base}/view/after" in client.get(f"{base}/page").text
    for path in ("/files/0", "/all", "/page", "/view/after"):
        assert other.get(base + path).status_code == 422
    for fate in ("pause", "cancel"):
        assert other.post(f"{base}/{fate}").status_code == 422
    assert client.get(f"{base}/files/1").status_code == 404
    assert client.delete(base).status_code == 200
    assert not job.folder.exists()
