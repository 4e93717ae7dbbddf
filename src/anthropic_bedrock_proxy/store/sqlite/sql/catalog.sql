-- The statements about models, prices, overrides and providers, each under its name.

-- name: catalog_version
SELECT version FROM catalog_version WHERE id = 1;

-- name: catalog_changed
UPDATE catalog_version SET version = version + 1 WHERE id = 1;

-- name: put_mapping
INSERT OR REPLACE INTO model_mappings (alias, bedrock_id, dialect, updated_at)
VALUES (:alias, :bedrock_id, :dialect, :updated_at);

-- name: remove_mapping
DELETE FROM model_mappings WHERE alias = :alias;

-- name: list_mappings
SELECT * FROM model_mappings ORDER BY alias;

-- name: clear_models
DELETE FROM bedrock_models;

-- name: add_model
INSERT INTO bedrock_models (id, name, provider, profiles, synced_at)
VALUES (:id, :name, :provider, :profiles, :synced_at);

-- name: list_models
SELECT * FROM bedrock_models ORDER BY id;

-- name: put_override
-- What was learned never replaces the word of the operator.
INSERT INTO capability_overrides (
    model, dialect, kind, name, allowed, source, reason, updated_at,
    learned_at, confirmations, witnesses, expires_at
) VALUES (
    :model, :dialect, :kind, :name, :allowed, :source, :reason, :updated_at,
    :learned_at, :confirmations, :witnesses, :expires_at
) ON CONFLICT (model, dialect, kind, name) DO UPDATE SET
    allowed = excluded.allowed,
    source = excluded.source,
    reason = excluded.reason,
    updated_at = excluded.updated_at,
    learned_at = excluded.learned_at,
    confirmations = excluded.confirmations,
    witnesses = excluded.witnesses,
    expires_at = excluded.expires_at
WHERE excluded.source = 'operator' OR capability_overrides.source = 'learned';

-- name: remove_override
DELETE FROM capability_overrides
WHERE model = :model AND dialect = :dialect AND kind = :kind AND name = :name;

-- name: list_overrides
SELECT * FROM capability_overrides ORDER BY kind, name, model, dialect;

-- name: put_provider
INSERT OR REPLACE INTO providers (
    name, region, endpoint_url, mantle_endpoint_url, role_arn, external_id, profile,
    encrypted_credentials, is_enabled, created_at, updated_at
) VALUES (
    :name, :region, :endpoint_url, :mantle_endpoint_url, :role_arn, :external_id, :profile,
    :encrypted_credentials, :is_enabled, :created_at, :updated_at
);

-- name: remove_provider
DELETE FROM providers WHERE name = :name;

-- name: list_providers
SELECT * FROM providers ORDER BY name;

-- name: get_provider
SELECT * FROM providers WHERE name = :name;

-- name: put_price
INSERT OR REPLACE INTO prices (
    model, region, valid_from, valid_until, input_nano, output_nano,
    cache_read_nano, cache_write_nano, cache_write_1h_nano, updated_at
) VALUES (
    :model, :region, :valid_from, :valid_until, :input_nano, :output_nano,
    :cache_read_nano, :cache_write_nano, :cache_write_1h_nano, :updated_at
);

-- name: remove_price
DELETE FROM prices WHERE model = :model AND region = :region AND valid_from = :valid_from;

-- name: list_prices
SELECT * FROM prices ORDER BY model, region, valid_from;

-- name: put_synced_prices
INSERT OR REPLACE INTO synced_prices (id, source, synced_at, text)
VALUES (1, :source, :synced_at, :text);

-- name: get_synced_prices
SELECT source, synced_at, text FROM synced_prices WHERE id = 1;

-- name: put_synced_mappings
INSERT OR REPLACE INTO synced_mappings (id, source, synced_at, mappings)
VALUES (1, :source, :synced_at, :mappings);

-- name: get_synced_mappings
SELECT source, synced_at, mappings FROM synced_mappings WHERE id = 1;
