-- The passwords of the roles that roles.sql has made, from files, so that they are in no command line and no log.
\set ON_ERROR_STOP on
\set owner `cat /secrets/database/auth_owner`
\set app `cat /secrets/database/auth_app`
ALTER ROLE auth_owner PASSWORD :'owner';
ALTER ROLE auth_app PASSWORD :'app';
