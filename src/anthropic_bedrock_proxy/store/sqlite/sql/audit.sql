-- The statements about the audit log, each under its name.

-- name: add_audit
INSERT INTO audit (id, at_ms, actor, action, object, before, after)
VALUES (:id, :at_ms, :actor, :action, :object, :before, :after)
ON CONFLICT (id) DO NOTHING;

-- name: list_audit
SELECT * FROM audit
WHERE :before IS NULL OR id < :before
ORDER BY id DESC LIMIT :limit;

-- name: list_audit_of_object
SELECT * FROM audit
WHERE object = :object AND (:before IS NULL OR id < :before)
ORDER BY id DESC LIMIT :limit;
