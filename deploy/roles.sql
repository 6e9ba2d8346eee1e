-- Creates a database, the role that owns it and migrates, and the role that serves. Run it once, by
-- an administrator of the server, in psql 15 or newer:
--
--     OWNER_PASSWORD=... SERVICE_PASSWORD=... psql postgresql://postgres@host/postgres -f deploy/roles.sql
--
-- docs/how-to/postgresql.md says how to go on.
\set ON_ERROR_STOP on
\getenv owner_password OWNER_PASSWORD
\getenv service_password SERVICE_PASSWORD

CREATE ROLE counterfoil_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE counterfoil LOGIN PASSWORD :'service_password';
CREATE DATABASE counterfoil OWNER counterfoil_owner TEMPLATE template0 ENCODING 'UTF8';

-- Otherwise every role of the server may connect, and create temporary tables.
REVOKE ALL ON DATABASE counterfoil FROM PUBLIC;
GRANT CONNECT ON DATABASE counterfoil TO counterfoil;

-- Before PostgreSQL 15 every role may create objects in this schema.
\connect counterfoil
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE ON SCHEMA public TO counterfoil_owner;
