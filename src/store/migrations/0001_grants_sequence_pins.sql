-- One text for SQLite and PostgreSQL. Counters and times are BIGINT, times in milliseconds since 1970.

-- One row: what belongs to the installation as a whole.
CREATE TABLE installation (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    instance TEXT NOT NULL,
    -- A known text under the store's key: a wrong key is told before anything is written with it.
    seal_check BYTEA NOT NULL,
    sequence_ceiling BIGINT NOT NULL DEFAULT 0,
    grants_revision BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE accounts (
    -- Random, never changed: the additional data of the cache's seal.
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    username TEXT NOT NULL,
    configured_user TEXT NOT NULL,
    confidential BIGINT NOT NULL,
    version BIGINT NOT NULL,
    refreshed_at BIGINT NOT NULL,
    cache BYTEA NOT NULL
);

CREATE TABLE hub_pins (
    hub_id TEXT PRIMARY KEY,
    sha256 BYTEA NOT NULL
);
