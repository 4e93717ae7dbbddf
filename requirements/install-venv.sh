#!/bin/sh
# Debian ships Python without ensurepip; its package python3-venv brings it.
set -eu
if ! command -v apt-get >/dev/null 2>&1; then
    echo "This Python cannot make virtual environments: install its venv package." >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq python3-venv
elif command -v sudo >/dev/null 2>&1; then
    echo "Installing python3-venv (sudo apt-get install python3-venv)"
    sudo apt-get update -qq && sudo apt-get install -y -qq python3-venv
else
    echo "Run as root: apt-get install python3-venv" >&2
    exit 1
fi
