"""The runner: the program inside a sandbox. Standard library only, Python 3.9 or newer.

    supervisor.py   the first process: reads the executor's lines, never runs the model's code
      |- cells.py, repl_process.py -> repl.py, functions.py   a child: all Python cells
      |- commands.py -> bash.py                   a child for each command of bash
      |             `-> edit_process.py, editor.py   and for each of the text editor
      `- files.py                                 files in and out

These modules import each other relatively and nothing of the proxy, because inside a sandbox they
are a package `runner` of their own: see ../bundle.py.
"""
