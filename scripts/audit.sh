#!/bin/sh
# Looks for known faults: of dependencies in the advisories of PyPI, of our code by ruff.
#
#   audit.sh BIN_OF_RUFF BIN_OF_PIP_AUDIT [LIST]...
#
# The lists are those of requirements/ that somebody runs, by default. Advisories are on the network:
# those that PyPI serves beside its packages, or those of an OSV server at the address AUDIT_OSV_URL,
# such as a mirror. Where they cannot be reached it says so and goes on; AUDIT_STRICT=1 makes that a
# failure, as in CI.
set -u

cd "$(dirname "$0")/.." || exit
ruff=$1/ruff pip_audit=$2/pip-audit failed=0

echo "code: ruff, whose rules about security (S) are among those of pyproject.toml"
"$ruff" check --no-cache src deploy || failed=1

said=$(mktemp)
trap 'rm -f "$said"' EXIT
shift 2
[ $# -gt 0 ] || set -- runtime migration providers redis sandbox terminal tracing web
advisories='--vulnerability-service pypi'
[ -z "${AUDIT_OSV_URL:-}" ] || advisories="--vulnerability-service osv --osv-url $AUDIT_OSV_URL"
for list in "$@"; do
    # An index that has packages but no advisories makes pip-audit skip them all and be content.
    # shellcheck disable=SC2086  # words on purpose
    "$pip_audit" --disable-pip --require-hashes --progress-spinner off $advisories \
        -r "requirements/$list.txt" >"$said" 2>&1
    case $?,$(cat "$said") in
        *"Found "[0-9]*" known"*) # first: the number of a fault may hold a 404
            cat "$said"
            failed=1
            ;;
        *"could not be audited"* | *ConnectionError* | *"Max retries"* | *ServiceError* | *HTTPError* \
            | *ConnectTimeout* | *"404 Client Error"*)
            echo "requirements/$list.txt: NOT CHECKED, the advisories cannot be reached from here"
            [ "${AUDIT_STRICT:-0}" = 0 ] || failed=1
            ;;
        0,*) echo "requirements/$list.txt: no known faults" ;;
        *)
            cat "$said"
            failed=1
            ;;
    esac
done
exit $failed
