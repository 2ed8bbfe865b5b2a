"""One file per outside system: settings, open, repository, ping. Driver exceptions stop here."""
