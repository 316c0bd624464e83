"""Service resources: the KME of a site, its key store and its delivery to SAEs."""
