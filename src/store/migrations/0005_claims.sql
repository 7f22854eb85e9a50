-- What the next sign-in has to bring, where Entra or Graph asked for more (a claims request, JSON).
ALTER TABLE accounts ADD COLUMN claims TEXT NOT NULL DEFAULT '';
