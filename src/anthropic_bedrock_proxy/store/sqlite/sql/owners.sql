-- The statements about users and teams, each under its name.

-- name: create_owner
INSERT INTO owners (
    kind, id, name, created_at, updated_at, is_active, deactivated_reason, rate_limit,
    tpm_limit, input_tpm_limit, output_tpm_limit, concurrency_limit, monthly_budget_nano,
    daily_budget_nano, total_budget_nano
) VALUES (
    :kind, :id, :name, :created_at, :updated_at, :is_active, :deactivated_reason, :rate_limit,
    :tpm_limit, :input_tpm_limit, :output_tpm_limit, :concurrency_limit, :monthly_budget_nano,
    :daily_budget_nano, :total_budget_nano
) ON CONFLICT (kind, id) DO NOTHING;

-- name: replace_owner
UPDATE owners SET
    name = :name,
    created_at = :created_at,
    updated_at = :updated_at,
    is_active = :is_active,
    deactivated_reason = :deactivated_reason,
    rate_limit = :rate_limit,
    tpm_limit = :tpm_limit,
    input_tpm_limit = :input_tpm_limit,
    output_tpm_limit = :output_tpm_limit,
    concurrency_limit = :concurrency_limit,
    monthly_budget_nano = :monthly_budget_nano,
    daily_budget_nano = :daily_budget_nano,
    total_budget_nano = :total_budget_nano
WHERE kind = :kind AND id = :id;

-- name: get_owner
SELECT * FROM owners WHERE kind = :kind AND id = :id;

-- name: list_owners
SELECT * FROM owners WHERE kind = :kind ORDER BY id;

-- name: remove_owner
DELETE FROM owners WHERE kind = :kind AND id = :id;
