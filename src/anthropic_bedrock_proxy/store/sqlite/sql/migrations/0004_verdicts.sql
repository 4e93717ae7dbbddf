-- What is known of a learned verdict. Times are epoch seconds; witnesses is a JSON array of key ids.
-- What earlier versions learned has no witness, and counts for nobody until it is met again.

ALTER TABLE capability_overrides ADD COLUMN learned_at INTEGER;
ALTER TABLE capability_overrides ADD COLUMN confirmations INTEGER NOT NULL DEFAULT 0;
ALTER TABLE capability_overrides ADD COLUMN witnesses TEXT NOT NULL DEFAULT '[]';
ALTER TABLE capability_overrides ADD COLUMN expires_at INTEGER;
