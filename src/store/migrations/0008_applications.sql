-- How it stands with an application's own right in a tenant since it was last used: 'needed' or 'blocked', and why.
-- What is well has no row.
CREATE TABLE applications (
    client_id TEXT NOT NULL,
    -- As the configuration writes it: a domain or an id.
    tenant TEXT NOT NULL,
    standing TEXT NOT NULL,
    reason TEXT NOT NULL,
    remedy TEXT NOT NULL,
    PRIMARY KEY (client_id, tenant)
);
