# One message without a terminal, then an edit of a file.

aider() {
    command aider --no-git --yes-always --no-show-release-notes --no-check-update --no-analytics \
        --no-show-model-warnings --no-pretty --message "$MESSAGE" "$@"
}

text() { MESSAGE=Hello && source recipe.txt | grep 'You said: .*Hello\|standing in'; }

stream() { streamed; }

# aider has no tools: the model writes blocks that aider applies.
advanced() {
    script '{"match": {"body": "Write one"}, "reply": {"content": [{"type": "text", "text":
        "one.txt\n```\n<<<<<<< SEARCH\n=======\none\n>>>>>>> REPLACE\n```\n"}]}}'
    MESSAGE='Write one into one.txt' && source recipe.txt
    grep one one.txt
}
