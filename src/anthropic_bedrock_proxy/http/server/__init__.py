"""An HTTP/1.1 server: a sans-IO connection on llhttp, under a thin asyncio protocol.

Knows nothing of this product but its error tree, so the simulator stands on it too.

    head.py        the head of a request: llhttp, and what llhttp leaves open
    head_reader.py bytes -> heads, bounded while they come
    chunked.py     bytes -> the body of a request in chunks
    connection.py  both, in order, and the answers between them: bytes and ticks in, actions out
    protocol.py    the connection on a transport, its requests as tasks
    server.py      all connections of a worker: listening, the clock, room for new ones, the drain
    descriptors.py how many of them there may be, and so how many connections
    closing.py     the end of a listening socket
    clock.py       the time as they know it
    phrases.py     status lines
    request.py     what an application gets, and answers through
    bounds.py      every number that bounds what one client may take
"""
