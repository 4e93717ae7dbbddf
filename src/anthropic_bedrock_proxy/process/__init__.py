"""Runs the application in processes: sockets, signals, workers and who looks after them.

standard.py    stdin, stdout and stderr
listening.py   the sockets: bound here, or handed over by systemd
systemd.py     what a service manager is told, and what it tells
signals.py     when they may come
first.py       the first process of a container: passes signals on, and reaps
worker.py      one worker, from its first connection to the end of its last answer
supervisor.py  the parent of several
tls.py         the certificate for clients, which SIGHUP renews
"""
