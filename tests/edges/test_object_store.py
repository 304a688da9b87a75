"""A folder, a real S3 and the simulated Supabase Storage behind the same port."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from agent.edges.object_store import FolderStore, open_object_store
from agent.edges.object_store_bucket import BucketStore
from agent.errors import BackupError, InputError, NotFoundError
from agent.ports import ObjectStore
from tests.simulator import simulating
from tests.support.s3 import S3
from tests.support.storage import make_bucket, storage
from tests.support.stored import stored


@pytest.fixture(params=["folder", "s3", "supabase"])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    async with AsyncExitStack() as stack:
        store: ObjectStore
        if request.param == "folder":
            store = open_object_store((tmp_path / "target").as_uri())
        elif request.param == "s3":
            s3: S3 = request.getfixturevalue("s3")
            store = open_object_store(f"s3://{s3.bucket}/some/prefix", options=options_of(s3))
        else:
            database = request.getfixturevalue("database")
            platform = stack.enter_context(simulating(database.server, database.name))
            make_bucket(platform)
            store = storage(platform)
        stack.push_async_callback(store.close)
        yield store


def options_of(s3: S3) -> dict[str, str]:
    return {
        "endpoint": s3.endpoint,
        "region": s3.region,
        "access_key_id": s3.access_key,
        "secret_access_key": s3.secret_key,
    }


async def read(objects: ObjectStore, key: str) -> bytes:
    return b"".join([block async for block in objects.chunks(key)])


async def test_what_is_put_is_read_again(objects: ObjectStore, tmp_path: Path):
    big = os.urandom(20_000_000)  # more than two parts of a multipart upload
    async with objects.upload("p/b", work_dir=tmp_path / "work") as upload:
        (upload.folder / "application").mkdir()
        (upload.folder / "application" / "1.dat").write_bytes(big)
        await upload.keep("application/1.dat")
        await upload.publish(b"{}")
    assert await read(objects, "p/b/application/1.dat") == big
    assert await objects.get_bytes("p/b/manifest.json") == b"{}"
    assert await stored(objects, "p/b") == [("p/b/application/1.dat", len(big)), ("p/b/manifest.json", 2)]
    assert await objects.keys("p") == ["p/b/application/1.dat", "p/b/manifest.json"]
    assert await objects.keys("p/b/application") == ["p/b/application/1.dat"]
    assert await objects.keys("q") == []
    assert await stored(objects, "p/bb") == []
    await objects.delete("p/b")
    assert await stored(objects, "p") == []


async def test_what_is_not_there_is_said_so(objects: ObjectStore):
    with pytest.raises(NotFoundError) as caught:
        await objects.get_bytes("p/none/manifest.json")
    assert caught.value.code == "notfound.backup"
    with pytest.raises(NotFoundError):
        await read(objects, "p/none/manifest.json")
    await objects.delete("p/none")


async def test_an_upload_appears_whole(objects: ObjectStore):
    async with objects.upload("p/one") as upload:
        (upload.folder / "application").mkdir()
        (upload.folder / "application" / "toc.dat").write_bytes(b"toc")
        await upload.keep("application/toc.dat")
        assert ("p/one/manifest.json", 4) not in await stored(objects, "p")
        assert await upload.free_bytes() > 0
        await upload.publish(b"[1]\n")
    assert await stored(objects, "p") == [("p/one/application/toc.dat", 3), ("p/one/manifest.json", 4)]


async def test_an_upload_that_fails_leaves_nothing(objects: ObjectStore, tmp_path: Path):
    async def work() -> None:
        async with objects.upload("p/one", work_dir=tmp_path / "work") as upload:
            (upload.folder / "a").write_bytes(b"a")
            await upload.keep("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()
    assert await stored(objects, "") == []
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_cancelled_upload_leaves_nothing(objects: ObjectStore):
    begun = asyncio.Event()

    async def work() -> None:
        async with objects.upload("p/one") as upload:
            (upload.folder / "a").write_bytes(b"a")
            await upload.keep("a")
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await stored(objects, "") == []


async def test_with_a_work_folder_nothing_is_made_at_the_target(tmp_path: Path):
    objects = FolderStore(tmp_path / "target")
    async with objects.upload("p/one", work_dir=tmp_path / "work") as upload:
        assert upload.folder.is_relative_to(tmp_path / "work")
        assert upload.folder.stat().st_mode & 0o777 == 0o700
        (upload.folder / "a").write_bytes(b"a")
        assert [path for path in (tmp_path / "target").rglob("*") if path.is_file()] == []
        await upload.keep("a")
        assert not (upload.folder / "a").exists()
        await upload.publish(b"{}")
    assert (tmp_path / "target/p/one/a").read_bytes() == b"a"


async def test_sweep_takes_what_a_killed_writer_left_and_no_more(tmp_path: Path):
    objects = FolderStore(tmp_path)
    left = tmp_path / "p" / ".partial-dead"
    left.mkdir(parents=True)
    (left / "1.dat").write_bytes(b"x")
    async with objects.upload("p/alive") as upload:
        assert await objects.sweep() == ["dead"]
        assert upload.folder.exists()
        await upload.publish(b"{}")
    assert await objects.sweep() == []
    assert await stored(objects, "p") == [("p/alive/manifest.json", 2)]


async def test_sweep_of_a_bucket_leaves_young_and_whole_ones(s3: S3):
    objects = open_object_store(f"s3://{s3.bucket}", options=options_of(s3))
    await objects.put_bytes("p/whole/manifest.json", b"{}")
    await objects.put_bytes("p/young/1.dat", b"x")
    assert await objects.sweep() == []


async def test_a_full_disk_has_a_name(tmp_path: Path):
    """The limit on a file's size stands in for the disk's end: a write beyond it fails the same way, EFBIG."""
    objects = FolderStore(tmp_path / "target")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(BackupError) as caught:
            await objects.put_bytes("p/one/1.dat", bytes(200_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.code == "backup.disk_full"
    assert os.strerror(errno.EFBIG) in caught.value.message
    assert [path for path in (tmp_path / "target").rglob("*") if path.is_file()] == []


async def test_wrong_credentials_have_a_name_and_are_not_shown(s3: S3):
    objects = open_object_store(f"s3://{s3.bucket}", options={**options_of(s3), "secret_access_key": "geheim"})
    with pytest.raises(BackupError) as caught:
        await objects.put_bytes("p/x", b"x")
    assert caught.value.code == "backup.target_failed"
    assert s3.bucket in caught.value.message
    assert "geheim" not in str(caught.value)
    with pytest.raises(BackupError) as caught:
        await _upload_one(objects)
    assert "p/one/a" in caught.value.message
    assert "still there" in "".join(caught.value.__notes__)


async def _upload_one(objects: ObjectStore) -> None:
    async with objects.upload("p/one") as upload:
        (upload.folder / "a").write_bytes(b"a")
        await upload.keep("a")


async def test_the_environment_gives_what_the_url_does_not(s3: S3, monkeypatch: pytest.MonkeyPatch):
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    objects = open_object_store(f"s3://{s3.bucket}/x")
    await objects.put_bytes("k", b"v")
    assert await objects.get_bytes("k") == b"v"


def test_urls_are_understood_and_labels_hold_no_secret(tmp_path: Path):
    assert open_object_store(str(tmp_path)).label == tmp_path.as_uri()
    assert open_object_store("file:///var/back%20ups").label == "file:///var/back%20ups"
    bucket = open_object_store("s3://key:geheim@bucket/prefix/", options={"region": "x"})
    assert isinstance(bucket, BucketStore)
    assert bucket.label == "s3://bucket/prefix"
    with pytest.raises(InputError) as caught:
        open_object_store("ftp://u:geheim@host/x")
    assert caught.value.code == "input.backup_target"
    assert "geheim" not in caught.value.message
