-- Models, verdicts and places; and the place of a key. Times are epoch seconds.

ALTER TABLE keys ADD COLUMN provider TEXT;

CREATE TABLE model_mappings (
    alias TEXT PRIMARY KEY NOT NULL,
    bedrock_id TEXT NOT NULL,
    dialect TEXT,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- profiles is a JSON array: it is only ever read and written as a whole.
CREATE TABLE bedrock_models (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    profiles TEXT NOT NULL,
    synced_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE capability_overrides (
    model TEXT NOT NULL,
    dialect TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    allowed INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (model, dialect, kind, name)
) WITHOUT ROWID;

CREATE TABLE providers (
    name TEXT PRIMARY KEY NOT NULL,
    region TEXT NOT NULL,
    endpoint_url TEXT,
    mantle_endpoint_url TEXT,
    role_arn TEXT,
    external_id TEXT,
    profile TEXT,
    encrypted_credentials BLOB,
    is_enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- One row, so that a poller reads one page.
CREATE TABLE catalog_version (
    id INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    version INTEGER NOT NULL
);

INSERT INTO catalog_version (id, version) VALUES (1, 0);
