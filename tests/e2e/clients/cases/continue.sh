# A message, then its tool for commands.

asked() { mkdir -p ~/.continue && cp recipe.txt ~/.continue/config.yaml && cn --auto -p "$1"; }

text() { asked Hello | grep 'standing in'; }

stream() { streamed; }

tools() {
    script '[
        {"match": {"body": "\"toolu_one\""}, "reply": {"content": [{"type": "text", "text": "done"}]}},
        {"match": {"body": "Write one"}, "reply": {"content": [{"type": "tool_use",
            "id": "toolu_one", "name": "Bash", "input": {"command": "echo one > one.txt"}}]}}]'
    asked 'Write one into one.txt'
    grep one one.txt
}
