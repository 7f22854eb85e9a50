-- Lights that somebody paused. Of two entries the higher version counts.
CREATE TABLE pauses (
    location TEXT NOT NULL,
    light TEXT NOT NULL,
    version BIGINT NOT NULL,
    paused BIGINT NOT NULL,
    PRIMARY KEY (location, light)
);
