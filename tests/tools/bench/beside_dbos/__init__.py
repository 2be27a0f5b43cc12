"""The shop beside a shop on DBOS Transact, over the same Postgres and the same gateways."""
