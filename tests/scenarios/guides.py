"""The two migration guides, item by item: their queries with what they expect, and everything else they say.

The queries are the guides' own, letter for letter, but for the sample ids, which are parameters here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class GuideQuery:
    """A query of a guide.

    `after`: the version that must be in when it is asked; "" means before the first.
    `holds`: the guide's expectation.
    `in_runbook`: how the runbook says it, where it cannot be letter for letter.
    `params`: queries that give the sample ids.
    """

    title: str
    after: str
    sql: str
    holds: Callable[[Rows], bool]
    in_runbook: str = ""
    params: dict[str, str] = field(default_factory=dict)


def zero(rows: Rows) -> bool:
    """One value, and it is 0."""
    return [list(row.values()) for row in rows] == [[0]]


def one_value(rows: Rows) -> bool:
    """One value, and it is a number."""
    return len(rows) == 1 and all(isinstance(value, int) for value in rows[0].values())


PREPARE, MIGRATE, PLAYLISTS, FINALIZE = "20250122000000", "20250122000002", "20250122000003", "20250122000004"

TRACKS_POSTS = [
    GuideQuery(
        title="snapshot: audio posts",
        after="",
        sql="SELECT COUNT(*) as audio_post_count FROM posts WHERE post_type = 'audio';",
        holds=one_value,
    ),
    GuideQuery(
        title="snapshot: tracks", after="", sql="SELECT COUNT(*) as existing_track_count FROM tracks;", holds=one_value
    ),
    GuideQuery(
        title="snapshot: playlist tracks",
        after="",
        sql="SELECT COUNT(*) as playlist_track_count FROM playlist_tracks;",
        holds=one_value,
    ),
    GuideQuery(
        title="snapshot: sample",
        after="",
        sql="""
            SELECT id, user_id, audio_url, audio_filename, created_at
            FROM posts
            WHERE post_type = 'audio'
            LIMIT 5;
        """,
        holds=lambda rows: len(rows) == 5,
    ),
    GuideQuery(
        title="migration 1: column",
        after=PREPARE,
        sql="""
            SELECT column_name, data_type, is_nullable
            FROM information_schema.columns
            WHERE table_name = 'posts' AND column_name = 'track_id';
        """,
        holds=lambda rows: rows == [{"column_name": "track_id", "data_type": "uuid", "is_nullable": "YES"}],
    ),
    GuideQuery(
        title="migration 1: index",
        after=PREPARE,
        sql="""
            SELECT indexname, indexdef
            FROM pg_indexes
            WHERE tablename = 'posts' AND indexname = 'idx_posts_track_id';
        """,
        holds=lambda rows: [row["indexname"] for row in rows] == ["idx_posts_track_id"],
    ),
    GuideQuery(
        title="migration 1: foreign key",
        after=PREPARE,
        sql="""
            SELECT constraint_name, constraint_type
            FROM information_schema.table_constraints
            WHERE table_name = 'posts' AND constraint_name = 'posts_track_id_fkey';
        """,
        holds=lambda rows: rows == [{"constraint_name": "posts_track_id_fkey", "constraint_type": "FOREIGN KEY"}],
    ),
    GuideQuery(
        title="migration 2: watch", after=MIGRATE, sql="SELECT COUNT(*) FROM tracks", holds=lambda rows: not zero(rows)
    ),
    GuideQuery(
        title="migration 2: progress",
        after=MIGRATE,
        sql="""
            SELECT
              (SELECT COUNT(*) FROM tracks) as tracks_created,
              (SELECT COUNT(*) FROM posts WHERE post_type = 'audio' AND track_id IS NOT NULL) as posts_updated,
              (SELECT COUNT(*) FROM posts WHERE post_type = 'audio') as total_audio_posts;
        """,
        holds=lambda rows: rows[0]["posts_updated"] == rows[0]["total_audio_posts"] > 0,
    ),
    GuideQuery(
        title="migration 2: orphans",
        after=MIGRATE,
        sql="SELECT COUNT(*) as orphaned_posts FROM posts WHERE post_type = 'audio' AND track_id IS NULL;",
        holds=zero,
    ),
    GuideQuery(
        title="migration 2: tracks",
        after=MIGRATE,
        sql="""
            SELECT
              (SELECT COUNT(*) FROM posts WHERE post_type = 'audio') as audio_posts,
              (SELECT COUNT(*) FROM tracks) as tracks;
        """,
        holds=lambda rows: rows[0]["tracks"] >= rows[0]["audio_posts"] > 0,
    ),
    GuideQuery(
        title="migration 2: data integrity",
        after=MIGRATE,
        sql="""
            SELECT
              p.id as post_id,
              p.audio_url as post_audio_url,
              t.id as track_id,
              t.file_url as track_file_url,
              t.title as track_title
            FROM posts p
            JOIN tracks t ON p.track_id = t.id
            WHERE p.post_type = 'audio'
            LIMIT 10;
        """,
        holds=lambda rows: len(rows) == 10 and all(row["post_audio_url"] == row["track_file_url"] for row in rows),
    ),
    GuideQuery(
        title="migration 2: duplicates",
        after=MIGRATE,
        sql="""
            SELECT file_url, COUNT(*) as count
            FROM tracks
            GROUP BY file_url
            HAVING COUNT(*) > 1;
        """,
        holds=lambda rows: len(rows) <= 5,
    ),
    GuideQuery(
        title="migration 3: progress",
        after=PLAYLISTS,
        sql="""
            SELECT
              COUNT(*) as total_playlist_tracks,
              COUNT(CASE WHEN EXISTS (
                SELECT 1 FROM tracks WHERE id = playlist_tracks.track_id
              ) THEN 1 END) as valid_references
            FROM playlist_tracks;
        """,
        holds=lambda rows: rows[0]["total_playlist_tracks"] == rows[0]["valid_references"] > 0,
    ),
    GuideQuery(
        title="migration 3: references",
        after=PLAYLISTS,
        sql="""
            SELECT COUNT(*) as invalid_references
            FROM playlist_tracks pt
            WHERE NOT EXISTS (
              SELECT 1 FROM tracks t WHERE t.id = pt.track_id
            );
        """,
        holds=zero,
    ),
    GuideQuery(
        title="migration 3: foreign key",
        after=PLAYLISTS,
        sql="""
            SELECT
              tc.constraint_name,
              tc.table_name,
              kcu.column_name,
              ccu.table_name AS foreign_table_name,
              ccu.column_name AS foreign_column_name
            FROM information_schema.table_constraints AS tc
            JOIN information_schema.key_column_usage AS kcu
              ON tc.constraint_name = kcu.constraint_name
            JOIN information_schema.constraint_column_usage AS ccu
              ON ccu.constraint_name = tc.constraint_name
            WHERE tc.table_name = 'playlist_tracks'
              AND tc.constraint_type = 'FOREIGN KEY'
              AND kcu.column_name = 'track_id';
        """,
        holds=lambda rows: (
            [(row["foreign_table_name"], row["foreign_column_name"]) for row in rows] == [("tracks", "id")]
        ),
    ),
    GuideQuery(
        title="migration 3: playlists",
        after=PLAYLISTS,
        sql="""
            SELECT
              pl.id as playlist_id,
              pl.name,
              COUNT(pt.id) as track_count,
              COUNT(t.id) as valid_tracks
            FROM playlists pl
            LEFT JOIN playlist_tracks pt ON pl.id = pt.playlist_id
            LEFT JOIN tracks t ON pt.track_id = t.id
            GROUP BY pl.id, pl.name
            HAVING COUNT(pt.id) != COUNT(t.id);
        """,
        holds=lambda rows: rows == [],
    ),
    GuideQuery(
        title="migration 4: constraint",
        after=FINALIZE,
        sql="""
            SELECT constraint_name, check_clause
            FROM information_schema.check_constraints
            WHERE constraint_name = 'audio_posts_must_have_track';
        """,
        holds=lambda rows: len(rows) == 1 and "track_id IS NOT NULL" in rows[0]["check_clause"],
    ),
    GuideQuery(
        title="migration 4: indexes",
        after=FINALIZE,
        sql="""
            SELECT indexname, indexdef
            FROM pg_indexes
            WHERE tablename = 'tracks'
            ORDER BY indexname;
        """,
        holds=lambda rows: (
            {"idx_tracks_user_id", "idx_tracks_created_at", "idx_tracks_is_public"}
            <= {row["indexname"] for row in rows}
        ),
    ),
    GuideQuery(
        title="migration 4: comments",
        after=FINALIZE,
        sql="""
            SELECT
              column_name,
              col_description((table_schema||'.'||table_name)::regclass::oid, ordinal_position) as comment
            FROM information_schema.columns
            WHERE table_name = 'posts'
              AND column_name LIKE 'audio_%';
        """,
        holds=lambda rows: len(rows) == 5 and all("DEPRECATED" in row["comment"] for row in rows),
    ),
    GuideQuery(
        title="final: orphans",
        after=FINALIZE,
        sql="SELECT COUNT(*) as orphaned_audio_posts FROM posts WHERE post_type = 'audio' AND track_id IS NULL;",
        holds=zero,
    ),
    GuideQuery(
        title="final: references of posts",
        after=FINALIZE,
        sql="""
            SELECT COUNT(*) as invalid_post_tracks
            FROM posts p
            WHERE p.track_id IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM tracks WHERE id = p.track_id);
        """,
        holds=zero,
    ),
    GuideQuery(
        title="final: references of playlists",
        after=FINALIZE,
        sql="""
            SELECT COUNT(*) as invalid_playlist_tracks
            FROM playlist_tracks pt
            WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = pt.track_id);
        """,
        holds=zero,
    ),
    GuideQuery(
        title="final: track count",
        after=FINALIZE,
        sql="""
            SELECT
              (SELECT COUNT(*) FROM posts WHERE post_type = 'audio') as audio_posts,
              (SELECT COUNT(*) FROM tracks) as total_tracks,
              (SELECT COUNT(DISTINCT track_id) FROM posts WHERE track_id IS NOT NULL) as tracks_in_posts;
        """,
        holds=lambda rows: rows[0]["total_tracks"] >= rows[0]["audio_posts"] > 0,
    ),
    GuideQuery(
        title="final: playlists",
        after=FINALIZE,
        sql="""
            SELECT
              COUNT(DISTINCT pl.id) as total_playlists,
              COUNT(pt.id) as total_playlist_tracks,
              COUNT(t.id) as valid_track_references
            FROM playlists pl
            LEFT JOIN playlist_tracks pt ON pl.id = pt.playlist_id
            LEFT JOIN tracks t ON pt.track_id = t.id;
        """,
        holds=lambda rows: rows[0]["total_playlist_tracks"] == rows[0]["valid_track_references"] > 0,
    ),
    GuideQuery(
        title="performance: posts with tracks",
        after=FINALIZE,
        sql="""
            SELECT p.*, t.*
            FROM posts p
            LEFT JOIN tracks t ON p.track_id = t.id
            WHERE p.post_type = 'audio'
            ORDER BY p.created_at DESC
            LIMIT 15;
        """,
        holds=lambda rows: len(rows) == 15,
    ),
    GuideQuery(
        title="performance: a playlist",
        after=FINALIZE,
        sql="""
            SELECT
              pl.*,
              pt.position,
              t.*
            FROM playlists pl
            JOIN playlist_tracks pt ON pl.id = pt.playlist_id
            JOIN tracks t ON pt.track_id = t.id
            WHERE pl.id = :sample_playlist_id
            ORDER BY pt.position;
        """,
        holds=lambda rows: len(rows) > 0,
        params={"sample_playlist_id": "select playlist_id from playlist_tracks limit 1"},
    ),
    GuideQuery(
        title="performance: a user's tracks",
        after=FINALIZE,
        sql="SELECT * FROM tracks WHERE user_id = :sample_user_id ORDER BY created_at DESC;",
        holds=lambda rows: len(rows) > 0,
        params={"sample_user_id": "select user_id from tracks limit 1"},
    ),
]

MEDIA_GALLERY = [
    GuideQuery(
        title="checklist: artifacts with media",
        after="",
        sql="SELECT COUNT(*) FROM artifacts WHERE media_urls IS NOT NULL",
        holds=lambda rows: rows[0]["count"] > 0,
    ),
    GuideQuery(
        title="tables: user_media",
        after="012",
        sql="SELECT COUNT(*) FROM user_media;",
        holds=one_value,
    ),
    GuideQuery(
        title="tables: artifact_media",
        after="013",
        sql="SELECT COUNT(*) FROM artifact_media;",
        holds=one_value,
    ),
    GuideQuery(
        title="backfill: sample",
        after="014",
        sql="""
            SELECT
              a.title,
              um.filename,
              am.role,
              am.sort_order
            FROM artifact_media am
            JOIN user_media um ON am.media_id = um.id
            JOIN artifacts a ON am.artifact_id = a.id
            LIMIT 5;
        """,
        holds=lambda rows: len(rows) == 5 and all(row["title"] and row["filename"] for row in rows),
    ),
    GuideQuery(
        title="policies: user_media",
        after="015",
        sql="SELECT schemaname, tablename, policyname FROM pg_policies WHERE tablename = 'user_media';",
        holds=lambda rows: len(rows) == 4,
    ),
    GuideQuery(
        title="policies: artifact_media",
        after="015",
        sql="SELECT schemaname, tablename, policyname FROM pg_policies WHERE tablename = 'artifact_media';",
        holds=lambda rows: len(rows) == 4,
    ),
    GuideQuery(
        title="indexes: user_media",
        after="015",
        sql="SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'user_media';",
        holds=lambda rows: any(row["indexdef"].endswith("(user_id, media_type, created_at DESC)") for row in rows),
    ),
    GuideQuery(
        title="indexes: artifact_media",
        after="015",
        sql="SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'artifact_media';",
        holds=lambda rows: any(row["indexdef"].endswith("(artifact_id, role, sort_order)") for row in rows),
    ),
    GuideQuery(
        title="triggers",
        after="015",
        sql="""
            SELECT tgname, tgrelid::regclass
            FROM pg_trigger
            WHERE tgrelid::regclass::text IN ('user_media', 'artifact_media');
        """,
        holds=lambda rows: (
            {"user_media_updated_at_trigger", "artifact_media_updated_at_trigger"} <= {row["tgname"] for row in rows}
        ),
    ),
    GuideQuery(
        title="test 4: new user_media",
        after="015",
        sql="SELECT * FROM user_media WHERE created_at > NOW() - INTERVAL '5 minutes';",
        holds=lambda rows: rows == [],  # nobody has uploaded anything yet
    ),
    GuideQuery(
        title="test 4: new artifact_media",
        after="015",
        sql="SELECT * FROM artifact_media WHERE created_at > NOW() - INTERVAL '5 minutes';",
        holds=lambda rows: rows == [],
    ),
    GuideQuery(
        title="test 5: dual write",
        after="015",
        sql="""
            SELECT
              a.id,
              a.title,
              array_length(a.media_urls, 1) as media_urls_count,
              COUNT(am.id) as artifact_media_count
            FROM artifacts a
            LEFT JOIN artifact_media am ON a.id = am.artifact_id
            WHERE a.created_at > NOW() - INTERVAL '1 day'
            GROUP BY a.id, a.title, a.media_urls;
        """,
        holds=lambda rows: all(row["media_urls_count"] == row["artifact_media_count"] for row in rows),
        # An artifact without media has NULL, which equals no count.
        in_runbook="""
            SELECT
              a.id,
              a.title,
              coalesce(array_length(a.media_urls, 1), 0) as media_urls_count,
              COUNT(am.id) as artifact_media_count
            FROM artifacts a
            LEFT JOIN artifact_media am ON a.id = am.artifact_id
            WHERE a.created_at > NOW() - INTERVAL '1 day'
            GROUP BY a.id, a.title, a.media_urls
        """,
    ),
    GuideQuery(
        title="metrics: summary",
        after="015",
        sql="""
            SELECT
              'user_media' as table_name,
              COUNT(*) as total_records,
              COUNT(DISTINCT user_id) as unique_users,
              pg_size_pretty(pg_total_relation_size('user_media')) as table_size
            FROM user_media
            UNION ALL
            SELECT
              'artifact_media' as table_name,
              COUNT(*) as total_records,
              COUNT(DISTINCT artifact_id) as unique_artifacts,
              pg_size_pretty(pg_total_relation_size('artifact_media')) as table_size
            FROM artifact_media;
        """,
        holds=lambda rows: len(rows) == 2 and all(row["total_records"] >= row["unique_users"] > 0 for row in rows),
        # A gauge is a number, so sizes stay in bytes.
        in_runbook="""
            SELECT
              'user_media' as table_name,
              COUNT(*) as total_records,
              COUNT(DISTINCT user_id) as unique_owners,
              pg_total_relation_size('user_media') as table_size
            FROM user_media
            UNION ALL
            SELECT
              'artifact_media' as table_name,
              COUNT(*) as total_records,
              COUNT(DISTINCT artifact_id) as unique_owners,
              pg_total_relation_size('artifact_media') as table_size
            FROM artifact_media
        """,
    ),
    GuideQuery(
        title="metrics: types",
        after="015",
        sql="""
            SELECT
              media_type,
              COUNT(*) as count,
              pg_size_pretty(SUM(file_size_bytes)) as total_size
            FROM user_media
            GROUP BY media_type;
        """,
        holds=lambda rows: {row["media_type"] for row in rows} == {"image", "video", "audio"},
        in_runbook="""
            SELECT
              media_type,
              COUNT(*) as count,
              coalesce(SUM(file_size_bytes), 0) as total_size
            FROM user_media
            GROUP BY media_type
        """,
    ),
    GuideQuery(
        title="metrics: roles",
        after="015",
        sql="SELECT role, COUNT(*) as count FROM artifact_media GROUP BY role;",
        holds=lambda rows: [row["role"] for row in rows] == ["gallery"],
    ),
]

QUERIES = {"tracks-posts": TRACKS_POSTS, "media-gallery": MEDIA_GALLERY}


@dataclass(frozen=True, kw_only=True)
class GuideItem:
    """Something else that a guide says: where the runbook says it, and the words that must stand there."""

    said: str
    where: str
    words: tuple[str, ...]


def _item(said: str, where: str, *words: str) -> GuideItem:
    return GuideItem(said=said, where=where, words=words or (said,))


ITEMS = {
    "tracks-posts": [
        _item(
            "Document: feature, version, created, status", "about", "Tracks vs Posts Separation", "1.0", "January 2025"
        ),
        _item("Create backup before starting", "checklist", "backup"),
        _item("Check file size (should be >1MB for production)", "checklist", "1 MB"),
        _item("Verify file is readable", "checklist", "can be read"),
        _item("Check Supabase connection", "checklist", "connection works"),
        _item("Verify you're connected to production", "checklist", "intended project"),
        _item("Check current migration status", "checklist", "migration history"),
        _item("Save results for comparison", "checklist", "comparison"),
        _item("Non-breaking schema changes", f"migrations.{PREPARE}.impact"),
        _item("Adds track_id column (nullable)", f"migrations.{PREPARE}.does", "track_id", "nullable"),
        _item("Creates index on track_id", f"migrations.{PREPARE}.does", "index on track_id"),
        _item("Adds foreign key (not validated yet)", f"migrations.{PREPARE}.does", "foreign key", "not validated yet"),
        _item("Updates tracks table structure", f"migrations.{PREPARE}.does", "tracks", "columns"),
        _item("Check error message in migration output", f"migrations.{PREPARE}.if_it_fails", "error message"),
        _item("Verify database permissions", f"migrations.{PREPARE}.if_it_fails", "privileges"),
        _item("Ensure no conflicting constraints", f"migrations.{PREPARE}.if_it_fails", "constraints"),
        _item("See rollback section if needed", f"migrations.{PREPARE}.if_it_fails", "rollback"),
        _item("Data migration", f"migrations.{MIGRATE}.impact"),
        _item("Creates track records from audio posts", f"migrations.{MIGRATE}.does", "track from each audio post"),
        _item("Updates posts.track_id", f"migrations.{MIGRATE}.does", "posts.track_id"),
        _item("Includes verification checks", f"migrations.{MIGRATE}.does", "verifies"),
        _item("Prevents duplicate migrations", f"migrations.{MIGRATE}.does", "have a track already"),
        _item("This is the longest migration", f"migrations.{MIGRATE}.impact", "longest"),
        _item("Check which posts failed to migrate", f"migrations.{MIGRATE}.if_it_fails", "which posts failed"),
        _item("Verify audio_url data is valid", f"migrations.{MIGRATE}.if_it_fails", "audio_url", "valid"),
        _item("Check for constraint violations", f"migrations.{MIGRATE}.if_it_fails", "constraint violations"),
        _item("See troubleshooting section", f"migrations.{MIGRATE}.if_it_fails", "troubleshooting"),
        _item("References tracks instead of posts", f"migrations.{PLAYLISTS}.does", "tracks instead of posts"),
        _item("Updates foreign key constraints", f"migrations.{PLAYLISTS}.does", "foreign key"),
        _item("Includes verification checks", f"migrations.{PLAYLISTS}.does", "verifies"),
        _item("Adds audio_posts_must_have_track", f"migrations.{FINALIZE}.does", "audio_posts_must_have_track"),
        _item("Creates performance indexes", f"migrations.{FINALIZE}.does", "indexes"),
        _item("Marks deprecated columns with comments", f"migrations.{FINALIZE}.does"),
        _item("Stop application (if possible)", "rollback", "stop the application, if possible"),
        _item("Restore database backup", "rollback", "restore the backup"),
        _item("Verify restoration", "rollback", "verify the restoration"),
        _item("Restart application", "rollback", "restart the application"),
        _item("Investigate failure cause", "rollback", "find out why"),
        _item("See: rollback-procedures.md", "rollback", "deployment/rollback-procedures.md"),
        _item(
            "Migration 2 takes too long", "troubleshooting", "takes too long", "large dataset", "wait for completion"
        ),
        _item(
            "Orphaned audio posts", "troubleshooting", "invalid audio_url", "manual data cleanup", "identify the posts"
        ),
        _item("Invalid playlist references", "troubleshooting", "posts that do not exist", "run the cleanup script"),
        _item("Constraint violation", "troubleshooting", "data inconsistency", "identify the violations"),
        _item("Column added successfully", "success_criteria"),
        _item("Index created", "success_criteria"),
        _item("Foreign key constraint added", "success_criteria"),
        _item("No errors in logs", "success_criteria", "no errors in the logs"),
        _item("All audio posts have track_id", "success_criteria", "all audio posts have a track_id"),
        _item("Track count >= audio post count", "success_criteria", "at least as many tracks as audio posts"),
        _item("No orphaned posts", "success_criteria"),
        _item("Data integrity maintained", "success_criteria", "data integrity is maintained"),
        _item("All playlist_tracks reference valid tracks", "success_criteria", "refer to valid tracks"),
        _item("Foreign key constraint updated", "success_criteria", "foreign key of playlist_tracks is updated"),
        _item("No invalid references", "success_criteria", "no-invalid-references"),
        _item("Playlist integrity maintained", "success_criteria", "playlist integrity is maintained"),
        _item("Constraint added successfully", "success_criteria", "the constraint is added"),
        _item("All indexes created", "success_criteria", "all indexes are created"),
        _item("Deprecated columns marked", "success_criteria", "deprecated columns are marked"),
    ],
    "media-gallery": [
        _item("Date, files, risk level", "about", "2025-11-27", "012-015", "low: idempotent, backward compatible"),
        _item("Backup database", "checklist", "backup"),
        _item("Review migration files", "checklist", "all four migration scripts"),
        _item("Check environment", "checklist", "dev, staging or prod"),
        _item("Note current state", "checklist", "artifacts with media have been counted"),
        _item("Creates the canonical user media storage table", "migrations.012.does"),
        _item("Sets up RLS policies for user isolation", "migrations.012.does"),
        _item("Creates indexes for fast queries", "migrations.012.does"),
        _item("Creates the join table linking artifacts to media", "migrations.013.does"),
        _item("Sets up role-based organization (gallery, inline_block, cover)", "migrations.013.does"),
        _item("Creates RLS policies inheriting from artifacts", "migrations.013.does"),
        _item("Migrates existing artifacts.media_urls to new tables", "migrations.014.does", "artifacts.media_urls"),
        _item("Creates user_media records for each unique URL", "migrations.014.does"),
        _item("Creates artifact_media links with role='gallery'", "migrations.014.does", "role gallery"),
        _item("Monitor output for totals, errors, warnings", "migrations.014", "errors and warnings", "notices"),
        _item("Creates composite indexes for common queries", "migrations.015.does"),
        _item("Adds updated_at triggers", "migrations.015.does"),
        _item("user_media count >= unique media URLs", "migrations.014.checks", "user_media_records >= unique_urls"),
        _item("artifact_media count >= array lengths", "migrations.014.checks", "artifact_media_records >= media_urls"),
        _item(
            "Policies: select, insert, update, delete", "migrations.012.checks", "select", "insert", "update", "delete"
        ),
        _item("Test 1: Gallery display", "manual_tests", "flickity", "navigation buttons", "page dots", "cloudinary"),
        _item(
            "Test 2: Media picker",
            "manual_tests",
            "add media",
            "select existing",
            "search works",
            "filter tabs",
            "multi",
        ),
        _item("Test 3: Backward compatibility", "manual_tests", "thumbnails", "detail pages", "404"),
        _item("Test 4: New artifact creation", "manual_tests", "uploads normally", "matching artifact"),
        _item("Test 5: Dual write", "manual_tests", "media_urls_count == artifact_media_count"),
        _item("DROP TABLE IF EXISTS artifact_media CASCADE", "rollback.complete"),
        _item("DROP TABLE IF EXISTS user_media CASCADE", "rollback.complete"),
        _item("DROP FUNCTION IF EXISTS extract_filename_from_url(TEXT)", "rollback.complete"),
        _item("DROP FUNCTION IF EXISTS detect_media_type(TEXT)", "rollback.complete"),
        _item("DROP FUNCTION IF EXISTS detect_mime_type(TEXT)", "rollback.complete"),
        _item("DROP FUNCTION IF EXISTS extract_storage_path(TEXT)", "rollback.complete"),
        _item("DROP FUNCTION IF EXISTS update_user_media_updated_at()", "rollback.complete"),
        _item("DROP FUNCTION IF EXISTS update_artifact_media_updated_at()", "rollback.complete"),
        _item(
            "Gallery won't display, legacy behavior", "rollback.complete", "gallery is not displayed", "old behaviour"
        ),
        _item("Media picker won't work", "rollback.complete", "media picker does not work"),
        _item("Existing artifacts continue working", "rollback.complete", "continue to work normally"),
        _item("No data loss", "rollback.complete", "artifacts.media_urls is unchanged"),
        _item("TRUNCATE artifact_media CASCADE", "rollback.partial"),
        _item("TRUNCATE user_media CASCADE", "rollback.partial"),
        _item("Tables exist but empty", "rollback.partial", "exist but are empty"),
        _item("Can re-run backfill migration", "rollback.partial", "can be run again"),
        _item("Faster than complete rollback", "rollback.partial", "faster than the complete rollback"),
        _item("Backfill migration hangs", "troubleshooting", "hangs", "large number", "smaller batches", "timeout"),
        _item("Duplicate key violations", "troubleshooting", "duplicate key", "idempotent", "if not exists"),
        _item("RLS policy errors", "troubleshooting", "missing or incorrect policies", "012 and 013"),
        _item("Gallery not displaying", "troubleshooting", "no gallery media records", "role='gallery'"),
        _item("Media picker shows no media", "troubleshooting", "no user_media records", "backfill migration (014)"),
        _item("Check migration logs", "support", "migration logs"),
        _item("Verify all migrations completed", "support", "completed successfully"),
        _item("Run verification queries", "support", "verification queries"),
        _item("Check browser console for errors", "support", "browser console"),
        _item("Verify API routes are accessible", "support", "api routes are accessible"),
        _item("Test with a fresh browser session", "support"),
        _item("All migrations complete without errors", "success_criteria", "complete without errors"),
        _item("user_media has records", "success_criteria", "user_media has records if existing artifacts have media"),
        _item("artifact_media has records", "success_criteria", "artifact_media has records if existing"),
        _item(
            "Gallery displays on artifact detail pages", "success_criteria", "gallery displays on artifact detail pages"
        ),
        _item("Media picker loads existing media", "success_criteria", "media picker loads existing media"),
        _item("New artifacts can be created with media", "success_criteria"),
        _item("Existing artifacts display unchanged", "success_criteria", "existing artifacts are unchanged"),
        _item("No console errors or warnings", "success_criteria"),
        _item("Monitor application performance", "next_steps"),
        _item("Collect user feedback on gallery UX", "next_steps"),
        _item("Consider deprecating legacy media_urls array", "next_steps", "deprecating the legacy media_urls array"),
        _item("Implement additional features", "next_steps", "inline media blocks, cover images"),
    ],
}

#: Minutes by volume: the four migrations of the tracks-posts guide, and the whole.
DURATIONS = {
    "small": {PREPARE: (1, 2), MIGRATE: (5, 10), PLAYLISTS: (3, 5), FINALIZE: (1, 2), "": (10, 20)},
    "medium": {PREPARE: (2, 3), MIGRATE: (15, 25), PLAYLISTS: (8, 12), FINALIZE: (2, 3), "": (30, 45)},
    "large": {PREPARE: (3, 5), MIGRATE: (30, 60), PLAYLISTS: (15, 25), FINALIZE: (3, 5), "": (50, 95)},
}

#: Milliseconds that the guide allows.
LIMITS = {"audio-feed-performance": 100, "playlist-performance": 50, "user-tracks-performance": 50}
