-- What the roles of roles.sql may do. As auth_owner, in the service's database, after each `auth-service migrate`:
-- psql -f deploy/sql/grants.sql. It may run again at any time; a table that it does not name stays closed.
\set ON_ERROR_STOP on
BEGIN;
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, auth_app, auth_cleanup;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, auth_app, auth_cleanup;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The service. What makes an account somebody's, its id, never changes.
GRANT SELECT ON alembic_version TO auth_app;
GRANT SELECT, INSERT, DELETE ON users TO auth_app;
GRANT UPDATE (email, email_canonical, username, username_canonical, hashed_password, role, is_active, is_verified,
    credential_epoch, updated_at, last_login_at) ON users TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_tokens TO auth_app;
GRANT SELECT, INSERT, DELETE ON deleted_sessions TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON throttles TO auth_app;
GRANT SELECT, INSERT ON audit_events TO auth_app;
GRANT EXECUTE ON FUNCTION keep_audit_months TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON outgoing_mails, link_tokens TO auth_app;

-- The clean-up: what has expired, and nothing that says whose it was. PostgreSQL asks for UPDATE on some column of a
-- row that is to be locked; the one of a session decides nothing. A trigger notes what is deleted in deleted_sessions.
GRANT SELECT ON alembic_version TO auth_cleanup;
GRANT SELECT (ctid, id, expires_at), UPDATE (user_agent), DELETE ON refresh_tokens TO auth_cleanup;
GRANT SELECT (deleted_at), INSERT, DELETE ON deleted_sessions TO auth_cleanup;
GRANT SELECT (ctid, expires_at), UPDATE (pending), DELETE ON throttles TO auth_cleanup;
GRANT SELECT (ctid, expires_at), UPDATE (created_at), DELETE ON link_tokens TO auth_cleanup;
GRANT EXECUTE ON FUNCTION keep_audit_months TO auth_cleanup;

-- Tables of later migrations go here, each with its own lines for auth_app and auth_cleanup.
COMMIT;
