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
    request.py        what an application gets, and answers through
    server.py         all connections of a worker: listening, clock, room, drain
    descriptors.py    how many of them there may be
    closing.py        the end of a listening socket
"""
