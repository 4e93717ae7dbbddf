-- Keys are listed oldest first, a page at a time.

CREATE INDEX keys_by_age ON keys (created_at, id);
