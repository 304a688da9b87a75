#!/bin/sh
# Installs pg_dump, pg_restore and psql of PostgreSQL 17 and 15 on Debian 13; run as root while the image is built.
#
# Debian 13 has version 17, Debian 12 has 15; both are signed with keys that Debian 13 brings. Of the two packages only
# the programs are taken: they depend on all of Perl, for wrappers that the agent does not use. Scanners find them in
# /var/lib/dpkg/status.d, as in distroless images. The libraries are installed as usual.
set -eu
umask 022
export DEBIAN_FRONTEND=noninteractive
work=$(mktemp -d)
# Where the base has its packages from, for the release before as well.
mkdir "$work/sources"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
  [ -s "$file" ] || continue
  cp "$file" "$work/sources/"
  sed 's/trixie/bookworm/g' "$file" >"$work/sources/bookworm-${file##*/}"
done
cat >"$work/apt.conf" <<CONF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
APT::Sandbox::User "root";
Acquire::Retries "3";
CONF
export APT_CONFIG="$work/apt.conf"

apt-get -qq update
apt-get -qq install --yes --no-install-recommends libpq5 libreadline8t64 >/dev/null
mkdir -p /var/lib/dpkg/status.d
for major in 17 15; do
  package=postgresql-client-$major
  (cd "$work" && apt-get -qq download "$package")
  dpkg-deb -x "$work/$package"_*.deb "$work/$package"
  for name in pg_dump pg_restore psql; do
    install -D -t "/usr/lib/postgresql/$major/bin" "$work/$package/usr/lib/postgresql/$major/bin/$name"
    "/usr/lib/postgresql/$major/bin/$name" --version
  done
  install -D -m 644 -t "/usr/share/doc/$package" "$work/$package/usr/share/doc/$package/copyright"
  dpkg-deb -f "$work/$package"_*.deb >"/var/lib/dpkg/status.d/$package"
done

# What would differ from build to build, and what nobody needs.
rm -rf "$work" /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old \
  /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log /var/log/alternatives.log
