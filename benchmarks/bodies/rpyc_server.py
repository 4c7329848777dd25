"""rpyc's classic server in a Windows Python: prints its port, serves one connection and ends with it."""

from rpyc.core.service import SlaveService
from rpyc.utils.server import OneShotServer

server = OneShotServer(SlaveService, hostname="127.0.0.1", port=0)
print(server.port, flush=True)
server.start()
