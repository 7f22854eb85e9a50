-- Where hubs were found after they had moved, for as long as the configuration names the same address as then.
CREATE TABLE hub_hosts (
    hub_id TEXT PRIMARY KEY,
    configured TEXT NOT NULL,
    host TEXT NOT NULL
);
