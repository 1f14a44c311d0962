"""Where a store may lie: a local folder, or a prefix of a bucket on an object store."""
