#!/bin/sh
# Keeps the promises of debian:12-slim in the new root ($1): no documents, no caches, no daemons, nothing of this machine.
set -e
root="$1"
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
cat > "$root/etc/dpkg/dpkg.cfg.d/slim" <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/info/*
force-unsafe-io
END
printf 'APT::Install-Recommends "false";\nAcquire::Languages "none";\nAPT::Keep-Downloaded-Packages "false";\nDir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n' \
  > "$root/etc/apt/apt.conf.d/slim"
printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
chmod 755 "$root/usr/sbin/policy-rc.d"
rm -f "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb
rm -rf "$root"/var/cache/debconf/*-old "$root"/var/log/* "$root"/var/lib/dpkg/*-old "$root"/var/cache/ldconfig/*
rm -rf "$root"/usr/share/man/* "$root"/usr/share/locale/*
: > "$root/etc/resolv.conf"
rm -f "$root/etc/hostname"
