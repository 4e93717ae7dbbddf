#!/bin/sh
# Renders the chart into deploy/kubernetes/: plain manifests, for `kubectl apply`. Needs helm, or HELM.
set -eu

cd "$(dirname "$0")/.."
chart=deploy/helm/anthropic-bedrock-proxy
out=${1:-deploy/kubernetes}
render() { # NAME OPTION...
    name=$1
    shift
    {
        echo "# Rendered from $chart by scripts/render-manifests.sh: change the chart, not this file."
        "${HELM:-helm}" template anthropic-bedrock-proxy "$chart" --namespace anthropic-bedrock-proxy \
            --kube-version 1.34 "$@"
    } >"$work/$name.yaml"
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
render single
render production --values "$chart/ci/production.yaml"
cp "$work"/*.yaml "$out" # both or none
