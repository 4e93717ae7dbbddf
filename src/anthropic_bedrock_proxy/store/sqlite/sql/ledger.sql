-- The statements about budgets, each under its name.

-- name: spend
INSERT INTO accounts (owner, period, spent_nano) VALUES (
    ?, ?, ?
) ON CONFLICT (owner, period) DO UPDATE SET
    spent_nano = min(spent_nano + excluded.spent_nano, 9223372036854775807);

-- name: import_spent
INSERT INTO accounts (owner, period, spent_nano) VALUES (:owner, :period, :spent_nano)
ON CONFLICT (owner, period) DO NOTHING;

-- name: remove_lapsed_holds
-- Of every period: nobody borrows again from a day that is over.
DELETE FROM holds WHERE owner = :owner AND expires_at <= :now;

-- name: get_standing
SELECT
    coalesce((
        SELECT spent_nano FROM accounts WHERE owner = :owner AND period = :period
    ), 0) AS spent_nano,
    coalesce((
        SELECT sum(max(held_nano, 0)) FROM holds
        WHERE owner = :owner AND period = :period AND holder != :holder
    ), 0) AS others_nano,
    coalesce((
        SELECT held_nano FROM holds
        WHERE owner = :owner AND period = :period AND holder = :holder
    ), 0) AS mine_nano;

-- name: hold
INSERT INTO holds (owner, period, holder, held_nano, expires_at)
VALUES (:owner, :period, :holder, :granted, :until)
ON CONFLICT (owner, period, holder) DO UPDATE SET
    held_nano = held_nano + excluded.held_nano,
    expires_at = max(expires_at, excluded.expires_at);

-- name: set_hold
INSERT INTO holds (owner, period, holder, held_nano, expires_at) VALUES (
    ?, ?, ?, ?, ?
) ON CONFLICT (owner, period, holder) DO UPDATE SET
    held_nano = excluded.held_nano, expires_at = excluded.expires_at;

-- name: remove_hold
DELETE FROM holds WHERE owner = ? AND period = ? AND holder = ?;

-- name: let_go
UPDATE holds SET
    held_nano = max(min(held_nano - :amount_nano, 9223372036854775807), -9223372036854775807)
WHERE owner = :owner AND period = :period AND holder = :holder;

-- name: renew
UPDATE holds SET expires_at = max(expires_at, :until)
WHERE owner = :owner AND period = :period AND holder = :holder;

-- name: list_standings
-- "total" comes after every date.
SELECT period, sum(spent_nano) AS spent_nano, sum(held_nano) AS held_nano
FROM (
    SELECT period, spent_nano, 0 AS held_nano FROM accounts WHERE owner = :owner
    UNION ALL
    SELECT period, 0, held_nano FROM holds
    WHERE owner = :owner AND expires_at > :now AND held_nano > 0
)
GROUP BY period ORDER BY period;
