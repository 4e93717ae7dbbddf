# curl answers whole, and streams with two options more.

text() { source recipe.txt | grep '"type":"text"' | grep Hello; }

stream() {
    curl() { command curl -N "${@/'"max_tokens"'/'"stream": true, "max_tokens"'}"; }
    source recipe.txt | grep 'event: message_stop'
}
