-- Run once by the Postgres image, when its volume is empty.
\set password `cat /run/secrets/database_password`
CREATE ROLE shop LOGIN PASSWORD :'password';
-- docs/configuration.md says why: behind PgBouncer they cannot travel with the connection.
ALTER ROLE shop SET default_transaction_isolation = 'read committed';
ALTER ROLE shop SET lock_timeout = '3s';
ALTER ROLE shop SET statement_timeout = '10s';
ALTER ROLE shop SET idle_in_transaction_session_timeout = '10s';
ALTER ROLE shop SET client_connection_check_interval = '5s';
CREATE DATABASE shop OWNER shop;
