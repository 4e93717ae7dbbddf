#!/bin/sh
# Builds the images of the proxy (deploy/docker/Dockerfile).
#
#   build-images.sh [--variant minimal|alpine|ptc]... [--platform LIST] [--tag NAME:TAG] [--push]
#   build-images.sh --registry-free [--variant ...]... [--tag NAME:TAG]
#
# The first form wants `docker buildx`; --platform takes several, as linux/amd64,linux/arm64. What is
# pushed has to stand on bases that are pinned by digest: PYTHON_BASE and ALPINE_BASE, else the lines
# of deploy/docker/bases.env. The second form needs no registry, but a Debian 12 machine: its bases
# are made of the distribution's own packages, and packages of Python come from the machine's index.
# Tags are NAME:TAG for minimal, NAME:TAG-alpine and NAME:TAG-ptc; each is printed when it is done.
set -eu

cd "$(dirname "$0")/.."
variants='' platforms='' tag='' push=no registry_free=no
while [ $# -gt 0 ]; do
    case $1 in
        --variant) variants="$variants ${2:?}"; shift ;;
        --platform) platforms=${2:?}; shift ;;
        --tag) tag=${2:?}; shift ;;
        --push) push=yes ;;
        --registry-free) registry_free=yes ;;
        *) echo "unknown option: $1" >&2; exit 2 ;;
    esac
    shift
done
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
tag=${tag:-anthropic-bedrock-proxy:$version}
variants=${variants:-minimal alpine ptc}
for variant in $variants; do
    case $variant in
        minimal | alpine | ptc) ;;
        *) echo "the variants are minimal, alpine and ptc" >&2; exit 2 ;;
    esac
done

label() { echo "--label=org.opencontainers.image.$1=$2"; }
revision() { # with the mark of what no commit has
    commit=$(git rev-parse HEAD 2>/dev/null) || { echo unknown; return; }
    echo "$commit$([ -z "$(git status --porcelain)" ] || echo -dirty)"
}
tag_of() { if [ "$1" = minimal ]; then echo "$tag"; else echo "$tag-$1"; fi; }
build() { # VARIANT COMMAND...
    variant=$1
    shift
    "$@" --file deploy/docker/Dockerfile --target "$variant" --tag "$(tag_of "$variant")" \
        "$(label title "anthropic-bedrock-proxy, $variant")" \
        "$(label version "$version")" \
        "$(label licenses Apache-2.0)" \
        "$(label revision "$(revision)")" \
        "$(label created "$(date -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}" +%FT%TZ)")" \
        . >&2
    tag_of "$variant"
}

if [ "$registry_free" = no ]; then
    # shellcheck source=deploy/docker/bases.env disable=SC1091  # linted by itself
    . deploy/docker/bases.env
    for base in "$PYTHON_BASE" "$ALPINE_BASE"; do
        case $push,$base in
            yes,*@sha256:*) ;;
            yes,*)
                echo "$base is not pinned by digest: see deploy/docker/bases.env" >&2
                exit 1
                ;;
        esac
    done
    for variant in $variants; do
        set -- docker buildx build --build-arg "PYTHON=$PYTHON_BASE" --build-arg "ALPINE=$ALPINE_BASE"
        [ -z "$platforms" ] || set -- "$@" --platform "$platforms"
        if [ "$push" = yes ]; then
            set -- "$@" --push --sbom=true --provenance=mode=max
        elif [ "${platforms%,*}" = "$platforms" ]; then
            set -- "$@" --load
        fi
        build "$variant" "$@"
    done
    exit
fi

work=$(mktemp -d)
trap 'rm -rf "$work" dist/wheels-of-images' EXIT
python=${PYTHON:-python3}
mkdir -p dist
"$python" -m pip download --quiet --disable-pip-version-check --dest dist/wheels-of-images --only-binary :all: \
    --python-version 3.11 --implementation cp pip >&2
lists=''
for list in runtime migration redis providers terminal tracing web sandbox sbom; do
    lists="$lists -r requirements/$list.txt"
done
# shellcheck disable=SC2086  # words on purpose
"$python" -m pip download --quiet --disable-pip-version-check --dest dist/wheels-of-images \
    --only-binary :all: --python-version 3.11 --implementation cp --no-deps --require-hashes $lists >&2
deploy/docker/debian-root.sh "$work/root" libc-bin binutils binutils-x86-64-linux-gnu libbinutils libctf0 \
    libctf-nobfd0 libgprofng0 libjansson4 libzstd1 libstdc++6 ca-certificates openssl curl libcurl4 \
    libnghttp2-14 libidn2-0 libunistring2 librtmp1 libssh2-1 libpsl5 libgssapi-krb5-2 libldap-2.5-0 \
    libbrotli1 libkrb5-3 libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1 libsasl2-2 \
    libgnutls30 libhogweed6 libnettle8 libp11-kit0 libtasn1-6
mkdir -p "$work/root/etc/ssl/certs" "$work/root/usr/lib/python3/dist-packages"
find "$work/root/usr/share/ca-certificates" -name '*.crt' -exec cat {} + \
    >"$work/root/etc/ssl/certs/ca-certificates.crt"
"$python" -m zipfile -e dist/wheels-of-images/pip-*.whl "$work/root/usr/lib/python3/dist-packages"
rm -f "$work/root/usr/lib/python3.11/EXTERNALLY-MANAGED"
tar -C "$work/root" --numeric-owner --owner=0 --group=0 -c . | docker import \
    --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' - anthropic-bedrock-proxy-base:debian >&2
for variant in $variants; do
    build "$variant" env DOCKER_BUILDKIT=0 docker build --quiet --network none \
        --build-arg PYTHON=anthropic-bedrock-proxy-base:debian \
        --build-arg ALPINE=anthropic-bedrock-proxy-base:debian \
        --build-arg "PIP_OPTIONS=--no-index --find-links /source/wheels-of-images"
done
