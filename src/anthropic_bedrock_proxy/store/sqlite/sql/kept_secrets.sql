-- The statements about secrets that the proxy keeps for itself, each under its name.

-- name: get_secret
SELECT secret FROM kept_secrets WHERE name = :name;

-- name: keep_secret
INSERT INTO kept_secrets (name, secret) VALUES (:name, :secret)
ON CONFLICT (name) DO NOTHING;
