-- Accounts that come and go while a bridge runs.

-- 'configured', or 'enrolled': then the name is the object id, and the configuration does not know it.
ALTER TABLE accounts ADD COLUMN origin TEXT NOT NULL DEFAULT 'configured';
-- The grants_revision with which the row was written: what came since is found without reading all rows.
ALTER TABLE accounts ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
-- How it stands with the grant since its last refresh: 'ok', 'needed' or 'blocked', and why.
ALTER TABLE accounts ADD COLUMN standing TEXT NOT NULL DEFAULT 'ok';
ALTER TABLE accounts ADD COLUMN reason TEXT NOT NULL DEFAULT '';
CREATE INDEX accounts_by_revision ON accounts (revision);

-- Accounts whose row was removed, until a bridge has taken that up and cleared their topics.
CREATE TABLE departed (
    name TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    revision BIGINT NOT NULL
);

-- What a sign-in brought while nobody knows yet whose it is. The id becomes that of the account's row.
CREATE TABLE held (
    id TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL,
    cache BYTEA NOT NULL
);
