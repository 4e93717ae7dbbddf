# A message, then its tool for commands.

asked() { cp recipe.txt opencode.json && opencode run --auto "$1"; }

text() { asked Hello | grep 'standing in'; }

stream() { streamed; }

tools() {
    script '[
        {"match": {"body": "\"toolu_one\""}, "reply": {"content": [{"type": "text", "text": "done"}]}},
        {"match": {"body": "Write one.*\"name\": *\"bash\""}, "reply": {"content": [{"type": "tool_use",
            "id": "toolu_one", "name": "bash",
            "input": {"command": "echo one > one.txt", "description": "Writes"}}]}}]'
    asked 'Write one into one.txt'
    grep one one.txt
}
