"""The stand-ins for PostgREST, Auth and Storage: roles and row-level security are real, the schema cache can be old."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import pytest

from tests.conftest import Database
from tests.simulator import Platform, simulating
from tests.support import oracle

_TABLE = """
CREATE TABLE notes (id int PRIMARY KEY, owner uuid DEFAULT auth.uid(), word text);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes TO authenticated USING (owner = auth.uid()) WITH CHECK (owner = auth.uid());
CREATE FUNCTION doubled(n int, plus int DEFAULT 0) RETURNS int LANGUAGE sql AS 'SELECT n * 2 + plus';
CREATE FUNCTION mine() RETURNS SETOF notes LANGUAGE sql AS 'SELECT * FROM notes';
"""


@pytest.fixture
def platform(database: Database) -> Iterator[Platform]:
    oracle.psql(database.url, _TABLE)
    with simulating(database.server, database.name) as running:
        running.start_api()
        yield running


def _client(platform: Platform, key: str, token: str | None = None) -> httpx.Client:
    headers = {"apikey": key, "authorization": f"Bearer {token or key}"}
    return httpx.Client(base_url=platform.api_url, headers=headers, timeout=60)


@pytest.fixture
def anon(platform: Platform) -> Iterator[httpx.Client]:
    with _client(platform, platform.key()) as client:
        yield client


@pytest.fixture
def service(platform: Platform) -> Iterator[httpx.Client]:
    with _client(platform, platform.key("service_role")) as client:
        yield client


def _signed_in(platform: Platform, email: str) -> httpx.Client:
    platform.add_user(email, "a password of the tests")
    answer = httpx.post(
        f"{platform.api_url}/auth/v1/token",
        params={"grant_type": "password"},
        headers={"apikey": platform.key()},
        json={"email": email.upper(), "password": "a password of the tests"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["user"]["email"] == email
    return _client(platform, platform.key(), answer.json()["access_token"])


def test_without_a_key_nobody_gets_in(platform: Platform) -> None:
    assert httpx.get(f"{platform.api_url}/rest/v1/notes").status_code == 401
    assert httpx.get(f"{platform.api_url}/rest/v1/notes", headers={"apikey": "wrong"}).status_code == 401
    with _client(platform, platform.key(), platform.key()[:-1] + "x") as client:
        assert client.get("/rest/v1/notes").json()["code"] == "PGRST301"


def test_rows_belong_to_who_signed_in(platform: Platform, anon: httpx.Client, service: httpx.Client) -> None:
    with _signed_in(platform, "a@example.com") as first, _signed_in(platform, "b@example.com") as second:
        made = first.post(
            "/rest/v1/notes", json=[{"id": 1, "word": "x"}, {"id": 2}], headers={"prefer": "return=representation"}
        )
        assert (made.status_code, [one["id"] for one in made.json()]) == (201, [1, 2])
        assert [one["id"] for one in first.get("/rest/v1/notes", params={"select": "id"}).json()] == [1, 2]
        assert second.get("/rest/v1/notes").json() == []
        stolen = {"id": 3, "owner": made.json()[0]["owner"]}
        refused = second.post("/rest/v1/notes", json=stolen)
        assert (refused.status_code, refused.json()["code"]) == (403, "42501")
        assert anon.get("/rest/v1/notes").json() == []
        assert anon.post("/rest/v1/notes", json={"id": 4}).status_code == 401
        assert [one["id"] for one in first.post("/rest/v1/rpc/mine", json={}).json()] == [1, 2]
        assert len(service.get("/rest/v1/notes").json()) == 2


def test_rows_are_filtered_ordered_counted_changed(service: httpx.Client) -> None:
    service.post("/rest/v1/notes", json=[{"id": number, "word": f"w{number}"} for number in range(1, 6)])
    found = service.get(
        "/rest/v1/notes",
        params={"select": "n:id,word", "id": "gte.2", "word": "not.eq.w3", "order": "id.desc", "limit": "2"},
        headers={"prefer": "count=exact"},
    )
    assert found.json() == [{"n": 5, "word": "w5"}, {"n": 4, "word": "w4"}]
    assert found.headers["content-range"] == "0-1/3"
    assert service.patch("/rest/v1/notes", params={"id": "in.(1,2)"}, json={"word": None}).status_code == 204
    assert len(service.get("/rest/v1/notes", params={"word": "is.null"}).json()) == 2
    upsert = {"prefer": "resolution=merge-duplicates,return=representation"}
    assert service.post("/rest/v1/notes", json={"id": 1, "word": "new"}, headers=upsert).json()[0]["word"] == "new"
    assert service.post("/rest/v1/notes", json={"id": 1}).status_code == 409
    assert service.delete("/rest/v1/notes", params={"id": "gt.1"}).status_code == 204
    one = service.get("/rest/v1/notes", headers={"accept": "application/vnd.pgrst.object+json"})
    assert one.json()["id"] == 1
    assert service.get("/rest/v1/notes", params={"or": "(id.eq.1)"}).json()["code"] == "PGRST100"
    assert service.get("/rest/v1/notes", params={"nothing": "eq.1"}).json()["code"] == "42703"


def test_functions_are_called_by_the_names_of_their_arguments(anon: httpx.Client) -> None:
    assert anon.post("/rest/v1/rpc/doubled", json={"n": 21}).json() == 42
    assert anon.get("/rest/v1/rpc/doubled", params={"n": "1", "plus": "5"}).json() == 7
    answer = anon.post("/rest/v1/rpc/doubled", json={"m": 1})
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST202")


def test_a_new_table_is_unknown_until_the_reload_is_heard(
    platform: Platform, service: httpx.Client, database: Database
) -> None:
    api = platform.project.api
    assert api is not None
    api.rest.deaf = True
    oracle.psql(database.url, "CREATE TABLE fresh (id int)")
    answer = service.get("/rest/v1/fresh")
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST205")
    assert "public.fresh" in answer.json()["message"]
    api.rest.deaf = False
    oracle.psql(database.url, "NOTIFY pgrst, 'reload schema'")
    while service.get("/rest/v1/fresh").status_code != 200:
        continue  # the cache is read when Postgres says so: who asks the API learns of it only by asking


def test_a_wrong_password_is_refused_and_a_refresh_token_works_once(platform: Platform, anon: httpx.Client) -> None:
    user = platform.add_user("c@example.com", "right")
    wrong = anon.post("/auth/v1/token?grant_type=password", json={"email": "c@example.com", "password": "wrong"})
    assert (wrong.status_code, wrong.json()["error_code"]) == (400, "invalid_credentials")
    session = anon.post("/auth/v1/token?grant_type=password", json={"email": "c@example.com", "password": "right"})
    refresh = {"refresh_token": session.json()["refresh_token"]}
    again = anon.post("/auth/v1/token?grant_type=refresh_token", json=refresh)
    assert again.json()["user"]["id"] == user
    assert anon.post("/auth/v1/token?grant_type=refresh_token", json=refresh).status_code == 400
    with _client(platform, platform.key(), again.json()["access_token"]) as client:
        assert client.get("/auth/v1/user").json()["id"] == user


def test_objects_go_up_and_down_and_policies_hold(anon: httpx.Client, service: httpx.Client) -> None:
    for name, public in (("closed", False), ("open", True)):
        assert service.post("/storage/v1/bucket", json={"name": name, "public": public}).status_code == 200
    for bucket in ("closed", "open"):
        up = service.post(f"/storage/v1/object/{bucket}/a/b.txt", files={"file": ("b.txt", b"hello", "text/plain")})
        assert up.json()["Key"] == f"{bucket}/a/b.txt"
    assert service.get("/storage/v1/object/closed/a/b.txt").content == b"hello"
    assert anon.get("/storage/v1/object/closed/a/b.txt").json()["statusCode"] == "404"
    assert httpx.get(f"{anon.base_url}/storage/v1/object/public/open/a/b.txt").text == "hello"
    assert httpx.get(f"{anon.base_url}/storage/v1/object/public/closed/a/b.txt").status_code == 400
    refused = anon.post("/storage/v1/object/closed/c.txt", content=b"x")
    assert refused.json()["statusCode"] == "403"
    signed = service.post("/storage/v1/object/sign/closed/a/b.txt", json={"expiresIn": 60}).json()["signedURL"]
    assert httpx.get(f"{anon.base_url}/storage/v1{signed}").content == b"hello"
    listed = service.post("/storage/v1/object/list/closed", json={"prefix": ""}).json()
    assert [(one["name"], one["id"]) for one in listed] == [("a", None)]
    assert service.post("/storage/v1/object/closed/a/b.txt", content=b"y").json()["statusCode"] == "409"
    gone = service.request("DELETE", "/storage/v1/object/closed", json={"prefixes": ["a/b.txt"]})
    assert [one["name"] for one in gone.json()] == ["a/b.txt"]
    assert service.get("/storage/v1/object/closed/a/b.txt").json()["statusCode"] == "404"


def test_a_large_object_goes_up_in_parts_and_is_resumed(platform: Platform, service: httpx.Client) -> None:
    service.post("/storage/v1/bucket", json={"name": "large"})
    metadata = ",".join(
        f"{name} {base64.b64encode(value.encode()).decode()}"
        for name, value in (("bucketName", "large"), ("objectName", "x/y.bin"), ("contentType", "application/x-test"))
    )
    begun = service.post(
        "/storage/v1/upload/resumable",
        headers={"tus-resumable": "1.0.0", "upload-length": "10", "upload-metadata": metadata},
    )
    assert begun.status_code == 201
    place = begun.headers["location"]
    part = {"content-type": "application/offset+octet-stream"}
    assert service.patch(place, content=b"01234", headers={**part, "upload-offset": "0"}).status_code == 204
    platform.fault("storage", cut="after")
    with pytest.raises(httpx.TransportError):
        service.patch(place, content=b"567", headers={**part, "upload-offset": "5"})
    assert service.head(place).headers["upload-offset"] == "8"
    assert service.patch(place, content=b"567", headers={**part, "upload-offset": "5"}).status_code == 409
    assert service.patch(place, content=b"89", headers={**part, "upload-offset": "8"}).status_code == 204
    down = service.get("/storage/v1/object/large/x/y.bin")
    assert (down.content, down.headers["content-type"]) == (b"0123456789", "application/x-test")
