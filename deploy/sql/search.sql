-- The indexes that find a fragment of an e-mail address or a username, for a database whose migration could not make them:
-- once PostgreSQL has pg_trgm (Debian: it is in the package postgresql), as auth_owner, in the service's database:
-- psql -f deploy/sql/search.sql. Beside a running service, and it may run again at any time.
\set ON_ERROR_STOP on
CREATE EXTENSION IF NOT EXISTS pg_trgm;
-- What was interrupted is left behind as an index that nobody may use.
SELECT format('DROP INDEX CONCURRENTLY %s', indexrelid::regclass) FROM pg_index
WHERE NOT indisvalid AND indexrelid IN (to_regclass('ix_users_email_trigrams'), to_regclass('ix_users_username_trigrams'))
\gexec
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_users_email_trigrams ON users USING gin (email_canonical gin_trgm_ops);
CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_users_username_trigrams ON users USING gin (username_canonical gin_trgm_ops);
