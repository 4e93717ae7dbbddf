#!/bin/sh
# Builds an image for sandboxes: Python 3.11, a shell, and a user without rights.
#
#   build.sh [--variant minimal|full] [--tag TAG] [--base IMAGE]
#   build.sh --registry-free [--tag TAG]
#
# The first form is `docker build` of the variant's Dockerfile; --base takes another image in place
# of the one that it starts from. The second needs no container registry, but a Debian machine: it
# unpacks the distribution's own packages (Python 3.11 is in Debian 12). Prints the tag at the end.
set -eu

variant=minimal tag='' base='' registry_free=no
while [ $# -gt 0 ]; do
    case $1 in
        --variant) variant=${2:?}; shift ;;
        --tag) tag=${2:?}; shift ;;
        --base) base=${2:?}; shift ;;
        --registry-free) registry_free=yes ;;
        *) echo "unknown option: $1" >&2; exit 2 ;;
    esac
    shift
done
case $variant in
    minimal | full) ;;
    *) echo "the variants are minimal and full" >&2; exit 2 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
tag=${tag:-anthropic-bedrock-proxy-sandbox:$variant}

if [ "$registry_free" = no ]; then
    docker build --quiet ${base:+--build-arg "BASE=$base"} --tag "$tag" "$here/$variant" >/dev/null
    echo "$tag"
    exit
fi
[ "$variant" = minimal ] || { echo "only the minimal variant can do without a registry" >&2; exit 2; }

packages='
base-files bash coreutils dash debianutils diffutils findutils grep gzip mawk sed tar media-types
python3.11-minimal libpython3.11-minimal libpython3.11-stdlib
libacl1 libattr1 libbz2-1.0 libc6 libcrypt1 libdb5.3 libexpat1 libffi8 libgcc-s1 libgmp10 liblzma5
libncursesw6 libnsl2 libpcre2-8-0 libreadline8 libselinux1 libsqlite3-0 libssl3 libtinfo6
libtirpc3 libuuid1 zlib1g
'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs" "$work/root"
cd "$work/debs"
# shellcheck disable=SC2086  # words on purpose
apt-get download -qq -o APT::Sandbox::User=root $packages >/dev/null || {
    apt-get update -qq >/dev/null
    apt-get download -qq -o APT::Sandbox::User=root $packages >/dev/null
}
for deb in *.deb; do
    dpkg-deb -x "$deb" "$work/root"
done

cd "$work/root"
rm -rf usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/lintian \
    usr/share/bash-completion usr/lib/python3.11/test usr/lib/python3.11/idlelib \
    usr/lib/python3.11/lib2to3
ln -s python3.11 usr/bin/python3
ln -sf dash bin/sh
[ -e usr/bin/awk ] || ln -s mawk usr/bin/awk
mkdir -p etc dev proc sys tmp workspace
echo 'root:x:0:0:root:/:/usr/sbin/nologin
sandbox:x:65532:65532:sandbox:/workspace:/bin/bash' >etc/passwd
echo 'root:x:0:
sandbox:x:65532:' >etc/group
# Nothing in a sandbox may change rights, so nothing carries any.
find . -xdev \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} +
usr/bin/python3.11 -m compileall -q usr/lib/python3.11 2>/dev/null || true

tar --numeric-owner --owner=0 --group=0 -c . | docker import \
    --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
    --change 'USER 65532:65532' \
    --change 'WORKDIR /workspace' \
    --change 'CMD ["python3"]' - "$tag" >/dev/null
echo "$tag"
