-- The database and three roles: auth_owner migrates, auth_app serves, auth_cleanup runs `auth-service cleanup` from cron.
-- Once per server, as a superuser: psql -f deploy/sql/roles.sql (add -v database=NAME for another name than "auth").
-- It may run again at any time. Passwords are not set here: psql's \password does that without a trace in a log.
\set ON_ERROR_STOP on
\if :{?database}
\else
\set database auth
\endif

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['auth_owner', 'auth_app', 'auth_cleanup'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I', name);
        END IF;
        EXECUTE format('ALTER ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        -- Temporary objects come last: nothing that a session makes can stand in for a table or a function of ours.
        EXECUTE format('ALTER ROLE %I SET search_path = public, pg_temp', name);
        EXECUTE format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''10s''', name);
    END LOOP;
    -- What the service sets by itself on each connection, and cannot behind PgBouncer.
    FOREACH name IN ARRAY ARRAY['auth_app', 'auth_cleanup'] LOOP
        EXECUTE format('ALTER ROLE %I SET statement_timeout = ''2s''', name);
        EXECUTE format('ALTER ROLE %I SET lock_timeout = ''0.7s''', name);
        EXECUTE format('ALTER ROLE %I SET jit = off', name);
    END LOOP;
END $$;

SELECT format('CREATE DATABASE %I OWNER auth_owner', :'database')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
-- By default everybody may connect to a database and make temporary tables in it.
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO auth_owner, auth_app, auth_cleanup;

\connect :"database"
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT USAGE, CREATE ON SCHEMA public TO auth_owner;
GRANT USAGE ON SCHEMA public TO auth_app, auth_cleanup;
