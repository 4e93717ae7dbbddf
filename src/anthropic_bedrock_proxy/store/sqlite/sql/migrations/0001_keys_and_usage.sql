-- Keys, the secrets that lead to them, and usage. Times of keys are epoch seconds; of usage,
-- epoch milliseconds. Money is integer nano-dollars.

CREATE TABLE keys (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    secret_hint TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    user_id TEXT,
    is_active INTEGER NOT NULL,
    deactivated_reason TEXT,
    expires_at INTEGER,
    rate_limit INTEGER,
    tpm_limit INTEGER,
    monthly_budget_nano INTEGER,
    service_tier TEXT,
    cache_ttl TEXT
);

CREATE TABLE key_secrets (
    secret_hash BLOB PRIMARY KEY NOT NULL,
    key_id TEXT NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) WITHOUT ROWID;

CREATE INDEX key_secrets_by_key ON key_secrets (key_id);

-- key_id has no foreign key: usage outlives the key that caused it, and the master key has no row.
-- Ids begin with their time, so that rows are appended to one tree.
CREATE TABLE usage (
    id TEXT PRIMARY KEY NOT NULL,
    key_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    model TEXT NOT NULL,
    bedrock_model_id TEXT NOT NULL,
    dialect TEXT NOT NULL,
    stream INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL,
    cache_creation_input_tokens INTEGER NOT NULL,
    cache_creation_5m_input_tokens INTEGER NOT NULL,
    cache_creation_1h_input_tokens INTEGER NOT NULL,
    service_tier TEXT,
    error TEXT,
    estimated INTEGER NOT NULL,
    disconnected INTEGER NOT NULL,
    latency_ms INTEGER NOT NULL,
    ttft_ms INTEGER,
    cost_nano INTEGER
) WITHOUT ROWID;

CREATE INDEX usage_by_time ON usage (at_ms);

CREATE INDEX usage_by_key ON usage (key_id, at_ms);
