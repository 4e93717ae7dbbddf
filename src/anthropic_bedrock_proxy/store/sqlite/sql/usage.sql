-- The statements about usage, each under its name. In those that append, %s stands for as many rows
-- as there are, whose values go by position: cheaper by half than a row at a time by name, and this
-- runs for every request.

-- name: append_usage
-- Not OR IGNORE: that would also swallow a missing column. In the order of UsageRecord's fields.
INSERT INTO usage (
    id, key_id, at_ms, model, bedrock_model_id, dialect, stream, input_tokens, output_tokens,
    cache_read_input_tokens, cache_creation_input_tokens, cache_creation_5m_input_tokens,
    cache_creation_1h_input_tokens, service_tier, error, estimated, disconnected, latency_ms,
    ttft_ms, cost_nano, user_id, team_id, place, upstream_request_id, web_search_requests,
    web_fetch_requests, code_execution_requests
) VALUES %s ON CONFLICT (id) DO NOTHING;

-- name: before_append
SAVEPOINT before_append;

-- name: undo_append
ROLLBACK TO before_append;

-- name: has_usage
SELECT 1 FROM usage WHERE id = ?;

-- name: append_daily
-- In the order of UsageTotal's fields. A sum that no longer fits would be kept as a float: it stays
-- the largest that does.
INSERT INTO usage_daily (
    day, key_id, user_id, team_id, model, requests, errors, estimated, disconnected, unpriced,
    input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens,
    cache_creation_5m_input_tokens, cache_creation_1h_input_tokens, web_search_requests,
    web_fetch_requests, code_execution_requests, cost_nano
) VALUES %s ON CONFLICT (day, key_id, user_id, team_id, model) DO UPDATE SET
    requests = requests + excluded.requests,
    errors = errors + excluded.errors,
    estimated = estimated + excluded.estimated,
    disconnected = disconnected + excluded.disconnected,
    unpriced = unpriced + excluded.unpriced,
    input_tokens = min(input_tokens + excluded.input_tokens, 9223372036854775807),
    output_tokens = min(output_tokens + excluded.output_tokens, 9223372036854775807),
    cache_read_input_tokens =
        min(cache_read_input_tokens + excluded.cache_read_input_tokens, 9223372036854775807),
    cache_creation_input_tokens =
        min(
            cache_creation_input_tokens + excluded.cache_creation_input_tokens, 9223372036854775807
        ),
    cache_creation_5m_input_tokens =
        min(
            cache_creation_5m_input_tokens + excluded.cache_creation_5m_input_tokens,
            9223372036854775807
        ),
    cache_creation_1h_input_tokens =
        min(
            cache_creation_1h_input_tokens + excluded.cache_creation_1h_input_tokens,
            9223372036854775807
        ),
    web_search_requests =
        min(web_search_requests + excluded.web_search_requests, 9223372036854775807),
    web_fetch_requests = min(web_fetch_requests + excluded.web_fetch_requests, 9223372036854775807),
    code_execution_requests =
        min(code_execution_requests + excluded.code_execution_requests, 9223372036854775807),
    cost_nano = min(cost_nano + excluded.cost_nano, 9223372036854775807);

-- name: totals
SELECT
    CASE WHEN :by_day THEN day END AS day,
    CASE WHEN :by_key_id THEN key_id END AS key_id,
    CASE WHEN :by_user_id THEN nullif(user_id, '') END AS user_id,
    CASE WHEN :by_team_id THEN nullif(team_id, '') END AS team_id,
    CASE WHEN :by_model THEN model END AS model,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(estimated) AS estimated,
    sum(disconnected) AS disconnected,
    sum(unpriced) AS unpriced,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(cache_creation_input_tokens) AS cache_creation_input_tokens,
    sum(cache_creation_5m_input_tokens) AS cache_creation_5m_input_tokens,
    sum(cache_creation_1h_input_tokens) AS cache_creation_1h_input_tokens,
    sum(web_search_requests) AS web_search_requests,
    sum(web_fetch_requests) AS web_fetch_requests,
    sum(code_execution_requests) AS code_execution_requests,
    sum(cost_nano) AS cost_nano
FROM usage_daily
WHERE day >= :since AND day < :until
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;

-- name: totals_of_key
-- Apart from `totals`, because an optional condition on key_id would keep its index unused.
SELECT
    CASE WHEN :by_day THEN day END AS day,
    CASE WHEN :by_key_id THEN key_id END AS key_id,
    CASE WHEN :by_user_id THEN nullif(user_id, '') END AS user_id,
    CASE WHEN :by_team_id THEN nullif(team_id, '') END AS team_id,
    CASE WHEN :by_model THEN model END AS model,
    sum(requests) AS requests,
    sum(errors) AS errors,
    sum(estimated) AS estimated,
    sum(disconnected) AS disconnected,
    sum(unpriced) AS unpriced,
    sum(input_tokens) AS input_tokens,
    sum(output_tokens) AS output_tokens,
    sum(cache_read_input_tokens) AS cache_read_input_tokens,
    sum(cache_creation_input_tokens) AS cache_creation_input_tokens,
    sum(cache_creation_5m_input_tokens) AS cache_creation_5m_input_tokens,
    sum(cache_creation_1h_input_tokens) AS cache_creation_1h_input_tokens,
    sum(web_search_requests) AS web_search_requests,
    sum(web_fetch_requests) AS web_fetch_requests,
    sum(code_execution_requests) AS code_execution_requests,
    sum(cost_nano) AS cost_nano
FROM usage_daily
WHERE key_id = :key_id AND day >= :since AND day < :until
GROUP BY 1, 2, 3, 4, 5
ORDER BY 1, 2, 3, 4, 5;

-- name: list_usage
-- The plus keeps SQLite from the index by time: rows are read in the order of their ids, and no
-- page is sorted.
SELECT * FROM usage
WHERE id > :after AND +at_ms >= :since_ms AND +at_ms < :until_ms
ORDER BY id LIMIT :limit;

-- name: list_usage_of_key
SELECT * FROM usage
WHERE key_id = :key_id AND id > :after AND +at_ms >= :since_ms AND +at_ms < :until_ms
ORDER BY id LIMIT :limit;

-- name: expire_usage
DELETE FROM usage WHERE id IN (SELECT id FROM usage WHERE at_ms < :before_ms LIMIT :limit);
