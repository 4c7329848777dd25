"""A daemon of Pyro5 on a Unix socket: python far_pyro.py PATH. Says the address of its object."""

import sys

import far
import Pyro5.api


@Pyro5.api.expose
class Far:
    """What is called."""

    def __init__(self):
        self.numbers = []

    def add(self, left, right):
        return far.add(left, right)

    def echo(self, value):
        return value

    def append(self, number):
        self.numbers.append(number)


with Pyro5.api.Daemon(unixsocket=sys.argv[1]) as daemon:
    print(daemon.register(Far()), flush=True)
    daemon.requestLoop()
