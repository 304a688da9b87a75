"""Backups in Supabase Storage, against its simulated stand-in: what is cut goes on, what is refused has a name."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from agent.edges.object_store import open_object_store
from agent.edges.object_store_supabase import SupabaseStore
from agent.errors import BackupError, InputError, NotFoundError
from tests.simulator import Platform, keys, simulating
from tests.support.oracle import psql, rows
from tests.support.storage import BUCKET, asked, make_bucket, refusal, storage

BIG = 14_000_000  # three parts
PARTS = 3
BEFORE = 2  # requests ahead of an upload: the bucket, and whether something lies there


@pytest.fixture
def platform(database):
    with simulating(database.server, database.name) as running:
        make_bucket(running)
        yield running


@pytest.fixture
async def open_store(platform: Platform) -> AsyncIterator[Callable[..., SupabaseStore]]:
    """As `storage`; closed at the end."""
    opened = []

    def open_one(*where: str, **more: str) -> SupabaseStore:
        opened.append(storage(platform, *where, **more))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def objects(open_store: Callable[..., SupabaseStore]) -> SupabaseStore:
    return open_store()


async def send(objects: SupabaseStore, content: bytes, prefix: str = "p/b") -> None:
    async with objects.upload(prefix) as upload:
        (upload.folder / "1.dat").write_bytes(content)
        await upload.keep("1.dat")
        await upload.publish(b"{}\n")


def lying(platform: Platform) -> list[str]:
    return [row[0] for row in rows(platform.project.admin_url, "select name from storage.objects order by name")]


async def refused(objects: SupabaseStore, content: bytes = b"x") -> BackupError:
    with pytest.raises(BackupError) as caught:
        await send(objects, content)
    return caught.value


async def test_large_files_go_in_parts_and_everything_is_read_back(platform, objects):
    big = os.urandom(BIG)
    await send(objects, big)
    calls = asked(platform)
    assert [one.split("/")[0] for one in calls] == [
        *("GET bucket", "POST object", "POST upload"),
        *["PATCH upload"] * PARTS,
        *("GET object", "POST object", "GET object"),
    ]
    sizes = [len(one.body or b"") for one in platform.api_calls if one.method == "PATCH"]
    assert sizes == [6 << 20, 6 << 20, BIG - (12 << 20)]
    assert lying(platform) == ["some/prefix/p/b/1.dat", "some/prefix/p/b/manifest.json"]
    assert await objects.get_bytes("p/b/1.dat") == big


@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("at", [0, 2, PARTS])
async def test_a_cut_upload_goes_on_where_storage_is(platform, objects, cut, at):
    """Cut at the beginning and at each part, before and after Storage took it."""
    big = os.urandom(BIG)
    platform.fault("storage", cut=cut, after=BEFORE + at)
    await send(objects, big)
    assert await objects.get_bytes("p/b/1.dat") == big
    patches = [one for one in platform.api_calls if one.method == "PATCH"]
    sent_again = at > 0 and cut == "before"
    assert len(patches) == PARTS + sent_again
    assert sum(one.method == "HEAD" for one in platform.api_calls) == (at > 0)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_small_file_whose_answer_is_lost_is_not_a_stranger(platform, objects, cut):
    platform.fault("storage", cut=cut, after=BEFORE)
    await send(objects, b"small")
    assert await objects.get_bytes("p/b/1.dat") == b"small"


async def test_an_upload_that_storage_has_forgotten_begins_anew(platform, objects):
    big = os.urandom(BIG)
    platform.fault("storage", cut="before", after=BEFORE + 2)
    platform.fault("storage", status=404, body=b"")
    await send(objects, big)
    assert asked(platform).count("POST upload/resumable") == 2
    assert await objects.get_bytes("p/b/1.dat") == big


async def test_a_network_that_stays_away_ends_the_backup_and_leaves_nothing(platform, objects):
    platform.fault("storage", cut="before", after=BEFORE + 2, times=9)
    error = await refused(objects, os.urandom(BIG))
    assert error.code == "backup.storage_unreachable"
    assert lying(platform) == []


async def test_a_download_that_is_cut_goes_on(platform, objects):
    await send(objects, b"whole")
    platform.fault("storage", cut="after")
    assert await objects.get_bytes("p/b/1.dat") == b"whole"


@pytest.mark.parametrize("size", [10, BIG])
async def test_what_lies_there_must_be_what_was_hashed(platform, objects, size):
    sent = 1 if size == 10 else 1 + PARTS
    platform.fault("storage", body=b"damaged", after=BEFORE + sent)
    error = await refused(objects, os.urandom(size))
    assert error.code == "backup.target_failed"
    assert "SHA-256 differs" in error.message
    assert lying(platform) == []


async def test_a_damaged_manifest_is_not_published(platform, objects):
    platform.fault("storage", body=b"damaged", after=BEFORE + 3)
    error = await refused(objects)
    assert "manifest.json" in error.message
    assert lying(platform) == []


async def test_what_is_published_is_never_overwritten(platform, objects, open_store):
    await send(objects, b"first")
    error = await refused(objects, b"second")
    assert error.code == "backup.object_exists"
    assert await objects.get_bytes("p/b/1.dat") == b"first"
    async with objects.upload("p/c") as upload:
        (upload.folder / "1.dat").write_bytes(b"mine")
        await open_store().put_bytes("p/c/1.dat", b"another's")
        with pytest.raises(BackupError) as caught:
            await upload.keep("1.dat")
    assert caught.value.code == "backup.object_exists"


async def test_listing_goes_over_pages(platform, objects):
    names = [f"p/b/{folder}/{number}.dat" for folder in ("a", "b", "c") for number in range(5)]
    for name in names:
        await objects.put_bytes(name, b"x")
    assert await objects.keys("p") == names
    await objects.delete("p/b/b")
    assert await objects.keys("p/b") == [name for name in names if "/b/b/" not in name]
    await objects.delete("p")
    assert lying(platform) == []


async def test_the_manifest_is_deleted_first(platform, objects):
    await send(objects, b"x")
    await objects.put_bytes("p/b/a", b"x")
    await objects.delete("p/b")
    first, *_ = [one.body for one in platform.api_calls if one.method == "DELETE"]
    assert b"manifest.json" in (first or b"")
    assert b"1.dat" not in (first or b"")


async def test_sweep_takes_what_is_old_and_has_no_manifest(platform, objects):
    await objects.put_bytes("p/old/1.dat", b"x")
    await objects.put_bytes("p/young/1.dat", b"x")
    await send(objects, b"x", "p/whole")
    long_ago = datetime.now(UTC) - timedelta(hours=25)
    psql(
        platform.project.admin_url,
        "alter table storage.objects disable trigger user;"
        f"update storage.objects set updated_at = '{long_ago}' where name not like '%young%'",
    )
    assert await objects.sweep() == ["p/old"]
    assert await objects.keys("p") == ["p/whole/1.dat", "p/whole/manifest.json", "p/young/1.dat"]


async def test_a_bucket_that_is_not_there_or_public(platform, open_store):
    error = await refused(open_store("nowhere"))
    assert (error.code, error.message.startswith("there is no bucket supabase://")) == ("backup.bucket_missing", True)
    make_bucket(platform, "open", public=True)
    assert (await refused(open_store("open"))).code == "backup.bucket_public"


async def test_a_file_that_the_bucket_does_not_take(platform, open_store):
    make_bucket(platform, "narrow", limit=1000)
    error = await refused(open_store("narrow"), bytes(1001))
    assert error.code == "backup.file_too_large"
    assert "at most 1,000" in error.message
    assert lying(platform) == []


@pytest.mark.parametrize(
    ("status", "error", "message", "code"),
    [
        ("413", "Payload too large", "The object exceeded the maximum allowed size", "backup.file_too_large"),
        ("402", "quota", "Service for this project is restricted: exceed_storage_size_quota", "backup.quota"),
        ("403", "Unauthorized", "new row violates row-level security policy", "backup.key_refused"),
        ("403", "Unauthorized", "Invalid Compact JWS", "backup.key_refused"),
        ("404", "Bucket not found", "Bucket not found", "backup.bucket_missing"),
        ("415", "invalid_mime_type", "mime type application/octet-stream is not supported", "backup.target_failed"),
    ],
)
async def test_refusals_have_names(platform, objects, status, error, message, code):
    refusal(platform, status, error, message, after=BEFORE)
    found = await refused(objects, os.urandom(BIG if status == "413" else 10))
    assert found.code == code
    assert found.hint
    assert lying(platform) == []


async def test_a_passing_failure_is_tried_again(platform, objects):
    refusal(platform, "503", "SlowDown", "please slow down")
    platform.fault("storage", status=544, after=1)
    await send(objects, b"x")
    assert await objects.get_bytes("p/b/1.dat") == b"x"


async def test_a_wrong_key_has_a_name_and_is_not_shown(platform, open_store):
    error = await refused(open_store(key="sb_secret_geheim"))
    assert error.code == "backup.key_refused"
    assert "geheim" not in str(error.as_dict())
    publishable = await refused(open_store(key=keys.publishable(platform.project)))
    assert publishable.code == "backup.bucket_missing"
    assert "secret key" in publishable.hint


async def test_a_key_that_may_not_delete_is_no_success(platform, objects):
    await send(objects, b"x")
    platform.fault("storage", status=200, body=b"[]", after=1, times=2)
    with pytest.raises(BackupError, match="may not delete"):
        await objects.delete("p/b")


async def test_something_else_than_storage_answers(platform, objects):
    platform.fault("storage", status=200, body=b"<html>", media="text/html")
    assert "not Storage's" in (await refused(objects)).message


async def test_nobody_answers(platform, open_store):
    error = await refused(open_store(base_url="http://127.0.0.1:9/storage/v1"))
    assert error.code == "backup.storage_unreachable"
    with pytest.raises(NotFoundError):
        await open_store().get_bytes("p/none")


def test_urls_of_storage():
    store = open_object_store("supabase://abcdefghijklmnopqrst/backups/a/b/")
    assert store.label == "supabase://abcdefghijklmnopqrst/backups/a/b"
    assert open_object_store(f"supabase://here/{BUCKET}", storage_url="http://x").label == f"supabase://here/{BUCKET}"
    for wrong in ("supabase://abcdefghijklmnopqrst", "supabase://a/b c", "supabase://u:p@a/b"):
        with pytest.raises(InputError) as caught:
            open_object_store(wrong)
        assert caught.value.code == "input.backup_target"
        assert "u:p" not in caught.value.message
