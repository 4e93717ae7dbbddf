-- The names of the last sync of MODEL_MAPPING_SYNC_URL: one row.

CREATE TABLE synced_mappings (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source TEXT NOT NULL,
    synced_at INTEGER NOT NULL,
    mappings TEXT NOT NULL
);
