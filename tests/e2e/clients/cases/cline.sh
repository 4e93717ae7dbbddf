# A message, then its tool for commands.

asked() {
    mkdir -p ~/.cline/data/settings && cp recipe.txt ~/.cline/data/settings/providers.json
    cline -P anthropic -t 60 --json "$1"
}

text() { asked 'Say hello' | grep 'standing in'; }

stream() { streamed; }

tools() {
    script '[
        {"match": {"body": "\"toolu_one\""}, "reply": {"content": [{"type": "text", "text": "done"}]}},
        {"match": {"body": "Write one"}, "reply": {"content": [{"type": "tool_use",
            "id": "toolu_one", "name": "run_commands", "input": {"commands": ["echo one > one.txt"]}}]}}]'
    asked 'Write one into one.txt'
    grep one one.txt
}
