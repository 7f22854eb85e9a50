-- Where somebody signs in so that it is mended; 'reason' says the rest. Rows from before say both there.
ALTER TABLE accounts ADD COLUMN remedy TEXT NOT NULL DEFAULT '';
