"""Sandboxes: where code that the model wrote runs, far from the proxy.

    proxy (tools/code_execution)
      | base.py: the port `Sandbox`
    client.py  --HTTP, unix socket or TCP-->  executor/   a process of its own: `sandboxd`
                                                | isolation/base.py: the port `Isolation`
                                              isolation/  Docker, sandlock
                                                | stdin and stdout of one process
                                              runner/     inside: supervisor, Python, bash, files

The protocol of the runner is told in docs/reference/sandbox-protocol.md.
"""
