-- The price list of the last `prices sync`: one row.

CREATE TABLE synced_prices (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    source TEXT NOT NULL,
    synced_at INTEGER NOT NULL,
    text TEXT NOT NULL
);
