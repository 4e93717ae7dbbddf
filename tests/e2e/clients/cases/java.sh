# The program prints the events of a stream.

text() { cp recipe.txt Hello.java && java Hello.java | grep '"text_delta"'; }

stream() { java Hello.java | grep '"message_stop"'; }
