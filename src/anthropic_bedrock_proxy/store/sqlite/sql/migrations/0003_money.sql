-- Owners, budgets, prices, the audit log, and sums of usage by day. Times of usage and of changes
-- are epoch milliseconds, all others epoch seconds. Money is integer nano-dollars.

-- The lists are JSON arrays: they are only ever read and written as a whole.
ALTER TABLE keys ADD COLUMN team_id TEXT;
ALTER TABLE keys ADD COLUMN input_tpm_limit INTEGER;
ALTER TABLE keys ADD COLUMN output_tpm_limit INTEGER;
ALTER TABLE keys ADD COLUMN concurrency_limit INTEGER;
ALTER TABLE keys ADD COLUMN daily_budget_nano INTEGER;
ALTER TABLE keys ADD COLUMN total_budget_nano INTEGER;
ALTER TABLE keys ADD COLUMN allowed_models TEXT NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN allowed_tools TEXT NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN allowed_networks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE keys ADD COLUMN admin_scopes TEXT NOT NULL DEFAULT '[]';

-- Keys name their user and team by id, recorded here or not.
CREATE TABLE owners (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    is_active INTEGER NOT NULL,
    deactivated_reason TEXT,
    rate_limit INTEGER,
    tpm_limit INTEGER,
    input_tpm_limit INTEGER,
    output_tpm_limit INTEGER,
    concurrency_limit INTEGER,
    monthly_budget_nano INTEGER,
    daily_budget_nano INTEGER,
    total_budget_nano INTEGER,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

CREATE TABLE prices (
    model TEXT NOT NULL,
    region TEXT NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_until INTEGER,
    input_nano INTEGER NOT NULL,
    output_nano INTEGER NOT NULL,
    cache_read_nano INTEGER,
    cache_write_nano INTEGER,
    cache_write_1h_nano INTEGER,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (model, region, valid_from)
) WITHOUT ROWID;

-- before and after are JSON.
CREATE TABLE audit (
    id TEXT PRIMARY KEY NOT NULL,
    at_ms INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    before TEXT,
    after TEXT
) WITHOUT ROWID;

CREATE INDEX audit_by_object ON audit (object);

ALTER TABLE usage ADD COLUMN user_id TEXT;
ALTER TABLE usage ADD COLUMN team_id TEXT;
ALTER TABLE usage ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE usage ADD COLUMN upstream_request_id TEXT;
ALTER TABLE usage ADD COLUMN web_search_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN web_fetch_requests INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN code_execution_requests INTEGER NOT NULL DEFAULT 0;

-- Sums come from usage_daily now; records of a key are read in the order of their ids, which every
-- index of this table ends with.
DROP INDEX usage_by_key;

CREATE INDEX usage_by_key ON usage (key_id);

-- A user or team of '' is none: NULLs are never equal, so they could not be part of the key.
CREATE TABLE usage_daily (
    day TEXT NOT NULL,
    key_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    team_id TEXT NOT NULL,
    model TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    estimated INTEGER NOT NULL,
    disconnected INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_input_tokens INTEGER NOT NULL,
    cache_creation_input_tokens INTEGER NOT NULL,
    cache_creation_5m_input_tokens INTEGER NOT NULL,
    cache_creation_1h_input_tokens INTEGER NOT NULL,
    web_search_requests INTEGER NOT NULL,
    web_fetch_requests INTEGER NOT NULL,
    code_execution_requests INTEGER NOT NULL,
    cost_nano INTEGER NOT NULL,
    PRIMARY KEY (day, key_id, user_id, team_id, model)
) WITHOUT ROWID;

CREATE INDEX usage_daily_by_key ON usage_daily (key_id, day);

INSERT INTO usage_daily
SELECT
    date(at_ms / 1000, 'unixepoch'), key_id, '', '', model,
    count(*), count(error), sum(estimated), sum(disconnected), count(*) - count(cost_nano),
    sum(input_tokens), sum(output_tokens),
    sum(cache_read_input_tokens), sum(cache_creation_input_tokens),
    sum(cache_creation_5m_input_tokens), sum(cache_creation_1h_input_tokens),
    0, 0, 0, coalesce(sum(cost_nano), 0)
FROM usage
GROUP BY 1, 2, 5;

CREATE TABLE accounts (
    owner TEXT NOT NULL,
    period TEXT NOT NULL,
    spent_nano INTEGER NOT NULL,
    PRIMARY KEY (owner, period)
) WITHOUT ROWID;

INSERT INTO accounts
SELECT 'key:' || key_id, substr(day, 1, 7), sum(cost_nano)
FROM usage_daily GROUP BY 1, 2 HAVING sum(cost_nano) > 0;

INSERT INTO accounts
SELECT 'key:' || key_id, day, sum(cost_nano)
FROM usage_daily GROUP BY 1, 2 HAVING sum(cost_nano) > 0;

INSERT INTO accounts
SELECT 'key:' || key_id, 'total', sum(cost_nano)
FROM usage_daily GROUP BY 1 HAVING sum(cost_nano) > 0;

-- What living processes may still spend of an account without asking.
CREATE TABLE holds (
    owner TEXT NOT NULL,
    period TEXT NOT NULL,
    holder TEXT NOT NULL,
    held_nano INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (owner, period, holder)
) WITHOUT ROWID;
