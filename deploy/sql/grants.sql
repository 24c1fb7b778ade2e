-- What the roles of roles.sql may do. As auth_owner, after each `auth-service migrate`: `auth-service grants --apply`, or
-- psql -f deploy/sql/grants.sql in the service's database. It may run again at any time; a table that it does not name
-- stays closed. The service reads its own lines: without one of these privileges it is not ready.
\set ON_ERROR_STOP on
BEGIN;
-- Of the tables' owner only: what an extension brought along is neither ours nor the owner's to close.
DO $$
DECLARE
    ours text;
BEGIN
    FOR ours IN
        WITH owner AS (SELECT relowner AS id FROM pg_class WHERE oid = 'alembic_version'::regclass)
        SELECT 'TABLE ' || c.oid::regclass FROM pg_class c, owner
        WHERE relnamespace = 'public'::regnamespace AND relowner = owner.id AND relkind IN ('r', 'p', 'v', 'm', 'f')
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e')
        UNION ALL
        SELECT 'ROUTINE ' || f.oid::regprocedure FROM pg_proc f, owner
        WHERE pronamespace = 'public'::regnamespace AND proowner = owner.id
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = f.oid AND deptype = 'e')
    LOOP
        EXECUTE 'REVOKE ALL ON ' || ours || ' FROM PUBLIC, auth_app, auth_cleanup';
    END LOOP;
END $$;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The service. What makes an account somebody's, its id, never changes. Of other tables the triggers of 0012 keep such
-- columns: services of before are ready only with the right to update the whole of them.
GRANT SELECT ON alembic_version, schema_compatibility TO auth_app;
GRANT SELECT, INSERT, DELETE ON users TO auth_app;
GRANT UPDATE (email, email_canonical, username, username_canonical, hashed_password, role, is_active, is_verified,
    email_assigned, credential_epoch, updated_at, last_login_at, username_skeleton, username_skeleton_of,
    username_twin) ON users TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_tokens TO auth_app;
GRANT SELECT, INSERT, DELETE ON deleted_sessions TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON throttles TO auth_app;
GRANT SELECT, INSERT ON audit_events TO auth_app;
GRANT EXECUTE ON FUNCTION keep_audit_months TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON outgoing_mails, link_tokens TO auth_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON pending_changes TO auth_app;
GRANT SELECT, INSERT, DELETE ON registrations TO auth_app;
GRANT EXECUTE ON FUNCTION expire_registrations TO auth_app;
GRANT SELECT, INSERT, UPDATE (secret, secret_id, last_step, confirmed_at, last_used_at, name, sign_count,
    backed_up), DELETE ON factors TO auth_app;
GRANT SELECT, INSERT, DELETE ON recovery_codes TO auth_app;
GRANT SELECT, INSERT, UPDATE (expires_at), DELETE ON spent_challenges TO auth_app;
GRANT SELECT, INSERT, UPDATE ON job_leases TO auth_app;

-- The clean-up: what has expired, and nothing that says whose it was. PostgreSQL asks for UPDATE on some column of a
-- row that is to be locked; the one of a session decides nothing. A trigger notes what is deleted in deleted_sessions.
GRANT SELECT ON alembic_version, schema_compatibility TO auth_cleanup;
GRANT SELECT (ctid, id, expires_at), UPDATE (user_agent), DELETE ON refresh_tokens TO auth_cleanup;
GRANT SELECT (deleted_at), INSERT, DELETE ON deleted_sessions TO auth_cleanup;
GRANT SELECT (ctid, expires_at), UPDATE (pending), DELETE ON throttles TO auth_cleanup;
GRANT SELECT (ctid, expires_at), UPDATE (created_at), DELETE ON link_tokens TO auth_cleanup;
GRANT EXECUTE ON FUNCTION keep_audit_months TO auth_cleanup;
GRANT EXECUTE ON FUNCTION expire_registrations TO auth_cleanup;
GRANT SELECT (id, created_at, confirmed_at), UPDATE (name), DELETE ON factors TO auth_cleanup;
GRANT SELECT (ctid, expires_at), UPDATE (expires_at), DELETE ON spent_challenges TO auth_cleanup;
GRANT SELECT, INSERT, UPDATE ON job_leases TO auth_cleanup;

-- Tables of later migrations go here, each with its own lines for auth_app and auth_cleanup. What an older service
-- needs stays for as long as it can still run on this schema.
COMMIT;
