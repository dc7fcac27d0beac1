"""Data: the kinds as records (`kinds`), one loader module a kind, the named public sets (`sets`)."""
