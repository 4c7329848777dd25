"""A pool: sessions of many clients on a few processes.

::

    client                      pool                                  worker process, one of N
    PoolSession  == frames ==>  servers.server     accepts            worker      starts, takes sessions
      client                    servers.admission  asks who it is       evaluating  runs code, one namespace a session
                                sessions           counts, drains       printing    whose line is it?
                                servers.relay      passes frames on == frames ==>
                                workers            starts, replaces

The pool looks at the headers of frames and never into them: what clients pickle is unpickled in the workers.
"""
