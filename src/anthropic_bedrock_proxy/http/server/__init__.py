"""An HTTP/1.1 server: a sans-IO connection on llhttp, under a thin asyncio protocol.

Knows nothing of this product but its error tree, so the simulator stands on it too.
Bytes in, actions out, without I/O:

    head.py           the head of a request: llhttp, and what llhttp leaves open
    head_reader.py    bytes -> heads, bounded while they come
    chunked.py        bytes -> the data of a body in chunks
    body_reader.py    bytes -> the body of a request, by its length or in chunks
    request_reader.py the three, in order: bytes -> requests, one at a time
    connection.py     requests and the answers between them; ticks, ends
    phrases.py        status lines
    bounds.py         every number that bounds what one client may take
    clock.py          the time as connections know it

On sockets:

    protocol.py       the connection on a transport, its requests as tasks
    request.py        what an application gets, and answers through; the application
    prober.py         the question whether a client that is not read is still there
    round_robin.py    turns of those that send faster than they are served
    server.py         all connections of a worker: listening, the clock, the drain
    eviction.py       who ends for a new one, where there is no more room
    descriptors.py    how many of them there may be
    sockets.py        a port's end, a reset, the address of a client
"""
