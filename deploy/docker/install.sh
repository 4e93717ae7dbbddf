#!/bin/sh
# Installs the proxy and what it needs into /packages, of which rootfs.py makes an image.
#
#   install.sh LIST...      the lists of requirements, runtime.txt first
#
# PIP_OPTIONS may name wheels in place of an index. /report.json says which archives were taken.
set -eu

install() {
    # shellcheck disable=SC2086  # several options
    python3 -m pip install ${PIP_OPTIONS:-} --quiet --disable-pip-version-check --no-cache-dir \
        --no-compile --root-user-action ignore "$@"
}
lists=''
for name in "$@"; do
    lists="$lists -r requirements/$name"
done
# shellcheck disable=SC2086  # words on purpose
install --require-hashes --report /report.json --target /packages $lists
PYTHONPATH=/packages install --no-deps --no-build-isolation --target /packages .
