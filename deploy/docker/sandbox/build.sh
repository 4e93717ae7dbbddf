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

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$here/../debian-root.sh" "$root"
cd "$root"
mkdir workspace
echo 'root:x:0:0:root:/:/usr/sbin/nologin
sandbox:x:65532:65532:sandbox:/workspace:/bin/bash' >etc/passwd
echo 'root:x:0:
sandbox:x:65532:' >etc/group

tar --numeric-owner --owner=0 --group=0 -c . | docker import \
    --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' \
    --change 'USER 65532:65532' \
    --change 'WORKDIR /workspace' \
    --change 'CMD ["python3"]' - "$tag" >/dev/null
echo "$tag"
