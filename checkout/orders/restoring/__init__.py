"""After a backup was restored: numbers that were seen are not given out again."""
