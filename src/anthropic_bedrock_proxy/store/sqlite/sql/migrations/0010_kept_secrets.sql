-- Secrets that the proxy makes for itself, each written once.

CREATE TABLE kept_secrets (
    name TEXT PRIMARY KEY,
    secret BLOB NOT NULL
);
