"""E-mails to customers, after they were decided."""
