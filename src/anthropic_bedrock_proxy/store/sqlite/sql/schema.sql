-- The statements about migrations, each under its name.

-- name: create_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    name TEXT PRIMARY KEY NOT NULL,
    applied_at INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
);

-- name: list_migrations
SELECT name FROM schema_migrations;

-- name: record_migration
INSERT INTO schema_migrations (name) VALUES (:name);
