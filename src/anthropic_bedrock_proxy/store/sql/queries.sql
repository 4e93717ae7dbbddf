-- The statements about migrations, keys and usage, each under its name.

-- name: create_migrations
CREATE TABLE IF NOT EXISTS schema_migrations (
    name TEXT PRIMARY KEY NOT NULL,
    applied_at INTEGER NOT NULL DEFAULT (CAST(strftime('%s', 'now') AS INTEGER))
);

-- name: list_migrations
SELECT name FROM schema_migrations;

-- name: record_migration
INSERT INTO schema_migrations (name) VALUES (:name);

-- name: create_key
INSERT INTO keys (
    id, name, secret_hint, created_at, updated_at, user_id, is_active, deactivated_reason,
    expires_at, rate_limit, tpm_limit, monthly_budget_nano, service_tier, cache_ttl,
    provider
) VALUES (
    :id, :name, :secret_hint, :created_at, :updated_at, :user_id, :is_active, :deactivated_reason,
    :expires_at, :rate_limit, :tpm_limit, :monthly_budget_nano, :service_tier, :cache_ttl,
    :provider
);

-- name: replace_key
UPDATE keys SET
    name = :name,
    secret_hint = :secret_hint,
    updated_at = :updated_at,
    user_id = :user_id,
    is_active = :is_active,
    deactivated_reason = :deactivated_reason,
    expires_at = :expires_at,
    rate_limit = :rate_limit,
    tpm_limit = :tpm_limit,
    monthly_budget_nano = :monthly_budget_nano,
    service_tier = :service_tier,
    cache_ttl = :cache_ttl,
    provider = :provider
WHERE id = :id;

-- name: add_secret
INSERT INTO key_secrets (secret_hash, key_id, created_at) VALUES (:secret_hash, :key_id, :now);

-- name: let_secrets_lapse
UPDATE key_secrets SET expires_at = :lapse
WHERE key_id = :key_id AND (expires_at IS NULL OR expires_at > :lapse);

-- name: find_key
SELECT keys.*
FROM key_secrets JOIN keys ON keys.id = key_secrets.key_id
WHERE key_secrets.secret_hash = :secret_hash
AND (key_secrets.expires_at IS NULL OR key_secrets.expires_at > :now);

-- name: get_key
SELECT * FROM keys WHERE id = :id;

-- name: list_keys
SELECT * FROM keys ORDER BY created_at, id;

-- name: append_usage
-- Not OR IGNORE: that would also swallow a missing column. By position, in the order of
-- UsageRecord's fields, and the one row of values is repeated for as many as there are: cheaper by
-- half than a row at a time by name, and this runs for every request.
INSERT INTO usage (
    id, key_id, at_ms, model, bedrock_model_id, dialect, stream,
    input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
    cache_creation_5m_input_tokens, cache_creation_1h_input_tokens,
    service_tier, error, estimated, disconnected, latency_ms, ttft_ms, cost_nano
) VALUES (
    ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
) ON CONFLICT (id) DO NOTHING;

-- name: totals
SELECT
    CASE WHEN :by_day THEN date(at_ms / 1000, 'unixepoch') END AS day,
    CASE WHEN :by_key_id THEN key_id END AS key_id,
    CASE WHEN :by_model THEN model END AS model,
    count(*) AS requests,
    count(error) AS errors,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(cache_creation_input_tokens) AS cache_creation_input_tokens,
    sum(cost_nano) AS cost_nano
FROM usage
WHERE at_ms >= :since_ms AND at_ms < :until_ms
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- name: totals_of_key
-- Apart from `totals`, because an optional condition on key_id would keep its index unused.
SELECT
    CASE WHEN :by_day THEN date(at_ms / 1000, 'unixepoch') END AS day,
    CASE WHEN :by_key_id THEN key_id END AS key_id,
    CASE WHEN :by_model THEN model END AS model,
    count(*) AS requests,
    count(error) AS errors,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(cache_creation_input_tokens) AS cache_creation_input_tokens,
    sum(cost_nano) AS cost_nano
FROM usage
WHERE key_id = :key_id AND at_ms >= :since_ms AND at_ms < :until_ms
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;
