-- The statements about keys, each under its name.

-- name: create_key
INSERT INTO keys (
    id, name, secret_hint, created_at, updated_at, user_id, team_id, is_active,
    deactivated_reason, expires_at, rate_limit, tpm_limit, input_tpm_limit, output_tpm_limit,
    concurrency_limit, monthly_budget_nano, daily_budget_nano, total_budget_nano, service_tier,
    cache_ttl, provider, allowed_models, allowed_tools, allowed_networks, admin_scopes
) VALUES (
    :id, :name, :secret_hint, :created_at, :updated_at, :user_id, :team_id, :is_active,
    :deactivated_reason, :expires_at, :rate_limit, :tpm_limit, :input_tpm_limit,
    :output_tpm_limit, :concurrency_limit, :monthly_budget_nano, :daily_budget_nano,
    :total_budget_nano, :service_tier, :cache_ttl, :provider, :allowed_models, :allowed_tools,
    :allowed_networks, :admin_scopes
);

-- name: replace_key
UPDATE keys SET
    name = :name,
    secret_hint = :secret_hint,
    updated_at = :updated_at,
    user_id = :user_id,
    team_id = :team_id,
    is_active = :is_active,
    deactivated_reason = :deactivated_reason,
    expires_at = :expires_at,
    rate_limit = :rate_limit,
    tpm_limit = :tpm_limit,
    input_tpm_limit = :input_tpm_limit,
    output_tpm_limit = :output_tpm_limit,
    concurrency_limit = :concurrency_limit,
    monthly_budget_nano = :monthly_budget_nano,
    daily_budget_nano = :daily_budget_nano,
    total_budget_nano = :total_budget_nano,
    service_tier = :service_tier,
    cache_ttl = :cache_ttl,
    provider = :provider,
    allowed_models = :allowed_models,
    allowed_tools = :allowed_tools,
    allowed_networks = :allowed_networks,
    admin_scopes = :admin_scopes
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
SELECT * FROM keys
WHERE (created_at, id) > (:created_at, :id)
ORDER BY created_at, id
LIMIT :limit;

-- name: list_keys_with_scopes
SELECT * FROM keys WHERE admin_scopes != '[]';

-- name: any_key
SELECT 1 FROM keys LIMIT 1;
