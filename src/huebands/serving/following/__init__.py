"""Following an alias of the registry: a new version is fetched, verified, warmed up and put in use, or refused."""
