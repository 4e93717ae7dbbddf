# Runs a recipe of docs/how-to/clients.md, then the cases that go with it: what run_case.py does, for
# commands. `recipe.txt` is the recipe, without prompts; cases are functions; SIMULATOR its address.

# Adds a step to the simulator's script, before those that are there.
script() { curl -sSf "$SIMULATOR/_sim/script" -d "$1"; }

# Says whether Bedrock was asked for a stream.
streamed() { curl -sSf "$SIMULATOR/_sim/requests" | grep -q '"operation": *"[A-Za-z]*Stream"'; }

source cases.sh
for name in text stream tools advanced; do
    declare -F "$name" >/dev/null || continue
    ( set -eo pipefail; "$name" ) >out.txt 2>&1
    python3 - "$name" "$?" <<'END'
import json, pathlib, sys
name, status = sys.argv[1:]
said = pathlib.Path("out.txt").read_text(errors="replace")[-1500:] or f"ended with {status}"
print(json.dumps({"case": name, "problem": None if status == "0" else said}))
END
done
