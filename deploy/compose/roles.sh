#!/bin/sh
# Runs deploy/roles.sql in the container of PostgreSQL, once, with the passwords of the secrets.
set -eu
OWNER_PASSWORD=$(cat /run/secrets/owner_password) \
    SERVICE_PASSWORD=$(cat /run/secrets/service_password) \
    psql --no-psqlrc --username "$POSTGRES_USER" --dbname postgres --file /opt/roles.sql
