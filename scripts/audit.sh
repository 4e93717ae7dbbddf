#!/bin/sh
# Looks for known faults: of dependencies in the advisories of PyPI, of our code by ruff.
#
#   audit.sh BIN_OF_RUFF BIN_OF_PIP_AUDIT
#
# Advisories are on the network. Where they cannot be reached it says so and goes on; AUDIT_STRICT=1
# makes that a failure, as in CI.
set -u

cd "$(dirname "$0")/.." || exit
ruff=$1/ruff pip_audit=$2/pip-audit failed=0

echo "code: ruff, whose rules about security (S) are among those of pyproject.toml"
"$ruff" check --no-cache src deploy || failed=1

said=$(mktemp)
trap 'rm -f "$said"' EXIT
for list in runtime migration providers redis sandbox terminal tracing; do
    if "$pip_audit" --disable-pip --require-hashes --progress-spinner off \
        -r "requirements/$list.txt" >"$said" 2>&1; then
        echo "requirements/$list.txt: no known faults"
    elif grep -q "^Found [0-9]* known" "$said"; then # first: the number of a fault may hold a 404
        cat "$said"
        failed=1
    elif grep -qE "ConnectionError|Max retries|ServiceError|HTTPError|ConnectTimeout|404" "$said"; then
        echo "requirements/$list.txt: NOT CHECKED, the advisories cannot be reached from here"
        [ "${AUDIT_STRICT:-0}" = 0 ] || failed=1
    else
        cat "$said"
        failed=1
    fi
done
exit $failed
