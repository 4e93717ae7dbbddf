-- A sum that outgrew 64 bits was kept as a float, with which no report could be made. It becomes the
-- largest number that fits.

UPDATE usage_daily SET
    input_tokens = CAST(input_tokens AS INTEGER),
    output_tokens = CAST(output_tokens AS INTEGER),
    cache_read_input_tokens = CAST(cache_read_input_tokens AS INTEGER),
    cache_creation_input_tokens = CAST(cache_creation_input_tokens AS INTEGER),
    cache_creation_5m_input_tokens = CAST(cache_creation_5m_input_tokens AS INTEGER),
    cache_creation_1h_input_tokens = CAST(cache_creation_1h_input_tokens AS INTEGER),
    web_search_requests = CAST(web_search_requests AS INTEGER),
    web_fetch_requests = CAST(web_fetch_requests AS INTEGER),
    code_execution_requests = CAST(code_execution_requests AS INTEGER),
    cost_nano = CAST(cost_nano AS INTEGER)
WHERE 'real' IN (
    typeof(input_tokens),
    typeof(output_tokens),
    typeof(cache_read_input_tokens),
    typeof(cache_creation_input_tokens),
    typeof(cache_creation_5m_input_tokens),
    typeof(cache_creation_1h_input_tokens),
    typeof(web_search_requests),
    typeof(web_fetch_requests),
    typeof(code_execution_requests),
    typeof(cost_nano)
);

UPDATE accounts SET spent_nano = CAST(spent_nano AS INTEGER) WHERE typeof(spent_nano) = 'real';

UPDATE holds SET held_nano = CAST(held_nano AS INTEGER) WHERE typeof(held_nano) = 'real';
