-- Application keys of hubs that were paired.
CREATE TABLE hub_keys (
    -- The bridge id: the additional data of the key's seal.
    id TEXT PRIMARY KEY,
    -- The hub's name in the configuration, or nothing.
    name TEXT NOT NULL,
    -- Where it was reached last.
    host TEXT NOT NULL,
    paired_at BIGINT NOT NULL,
    application_key BYTEA NOT NULL
);
