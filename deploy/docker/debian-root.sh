#!/bin/sh
# Unpacks Debian's own packages into a folder, as the root of an image: for machines that reach no
# container registry. Needs a Debian machine, and Debian 12 for Python 3.11.
#
#   debian-root.sh FOLDER PACKAGE...
#
# On top of the packages: Python 3.11 and all that it and a shell need.
set -eu

root=$1
shift
packages='
base-files bash coreutils dash debianutils diffutils findutils grep gzip mawk sed tar media-types
python3.11-minimal libpython3.11-minimal libpython3.11-stdlib gcc-12-base
libacl1 libattr1 libbz2-1.0 libc6 libcrypt1 libdb5.3 libexpat1 libffi8 libgcc-s1 libgmp10 liblzma5
libncursesw6 libnsl2 libpcre2-8-0 libreadline8 libselinux1 libsqlite3-0 libssl3 libtinfo6
libtirpc3 libuuid1 zlib1g
'
debs=$(mktemp -d)
trap 'rm -rf "$debs"' EXIT
mkdir -p "$root"
(
    cd "$debs"
    # shellcheck disable=SC2086  # words on purpose
    apt-get download -qq -o APT::Sandbox::User=root $packages "$@" >/dev/null || {
        apt-get update -qq >/dev/null
        apt-get download -qq -o APT::Sandbox::User=root $packages "$@" >/dev/null
    }
)
# What is installed, as dpkg would have noted it: for lists of contents, and for scanners.
mkdir -p "$root/var/lib/dpkg/info"
for deb in "$debs"/*.deb; do
    dpkg-deb -x "$deb" "$root"
    { dpkg-deb -f "$deb"; printf 'Status: install ok installed\n\n'; } >>"$root/var/lib/dpkg/status"
    dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\.||' \
        >"$root/var/lib/dpkg/info/$(dpkg-deb -f "$deb" Package).list"
done

cd "$root"
find usr/share/doc -type f ! -name copyright -delete
rm -rf usr/share/man usr/share/info usr/share/locale usr/share/lintian \
    usr/share/bash-completion usr/lib/python3.11/test usr/lib/python3.11/idlelib \
    usr/lib/python3.11/lib2to3
ln -s python3.11 usr/bin/python3
ln -sf dash bin/sh
[ -e usr/bin/awk ] || ln -s mawk usr/bin/awk
mkdir -p etc dev proc sys tmp
# Nothing in a container may change rights, so nothing carries any.
find . -xdev \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} +
usr/bin/python3.11 -m compileall -q usr/lib/python3.11 2>/dev/null || true
