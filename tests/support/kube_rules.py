"""Rules that linters of Kubernetes manifests have, for ours.

Sources: Pod Security Standards, profile "restricted"; the default checks of kube-linter.
"""

from __future__ import annotations

WORKLOADS = {"Deployment", "StatefulSet"}


def complaints(documents):
    """What the manifests of one installation break, a line for each."""
    found = []
    for document in documents:
        name = f"{document['kind']} {document['metadata']['name']}"
        if document["kind"] in WORKLOADS:
            found += [f"{name}: {what}" for what in _of_workload(document)]
        if document["kind"] == "Service" and not _selected(document, documents):
            found.append(f"{name}: selects no pod")
        if document["kind"] == "NetworkPolicy" and not _policed(document, documents):
            found.append(f"{name}: selects no pod")
        if document["kind"] == "Secret":
            found.append(f"{name}: a secret in a manifest")
    return found


def _of_workload(document):
    spec = document["spec"]
    pod = spec["template"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    if not spec["selector"]["matchLabels"].items() <= labels.items():
        yield "its selector does not match its pods"
    if pod.get("automountServiceAccountToken") is not False:
        yield "mounts a token of the API server"
    for flag in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(flag):
            yield f"has {flag}"
    for volume in pod.get("volumes", ()):
        if "hostPath" in volume:
            yield f"mounts {volume['hostPath']}"
    of_pod = pod["securityContext"]
    if of_pod.get("runAsNonRoot") is not True:
        yield "may run as root"
    if of_pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    for container in pod["containers"]:
        if "procMount" in container["securityContext"] and pod.get("hostUsers") is not False:
            yield "shows a whole /proc to users of the node"
    for container in pod["containers"]:
        yield from _of_container(container)


def _of_container(container):
    context = container["securityContext"]
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "writes to its root"
    if context.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "keeps capabilities"
    if context.get("privileged"):
        yield "is privileged"
    image = container["image"]
    if "@sha256:" not in image and image.rpartition(":")[2] in ("", "latest", image):
        yield f"has no version of {image}"
    for probe in ("livenessProbe", "readinessProbe"):
        if probe not in container:
            yield f"has no {probe}"
    resources = container.get("resources", {})
    for kind, name in (("requests", "cpu"), ("requests", "memory"), ("limits", "memory")):
        if name not in resources.get(kind, {}):
            yield f"has no {kind} of {name}"


def _pods(documents):
    return [
        one["spec"]["template"]["metadata"]["labels"]
        for one in documents
        if one["kind"] in WORKLOADS
    ]


def _selected(service, documents):
    wanted = service["spec"]["selector"].items()
    return any(wanted <= labels.items() for labels in _pods(documents))


def _policed(policy, documents):
    wanted = policy["spec"]["podSelector"]["matchLabels"].items()
    return any(wanted <= labels.items() for labels in _pods(documents))
