"""Code execution and programmatic tool calling: code that the model writes, run in a sandbox.

versions.py     the types of the tool, what each offers, and how callers are named
functions.py    the client's tools that code may call
definitions.py  the tools that the model sees
uploads.py      files that clients bring into the container
container.py    the container of one request, and the cells that run in it
results.py      outcomes as result blocks, and result blocks as the model is shown them
tool.py         all of it as a `ServerTool`

Source: Anthropic API, "Code execution tool", "Programmatic tool calling"; types of the official
SDKs.
"""
