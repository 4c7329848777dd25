"""Answers questions over multiprocessing.connection: python far_connection.py ADDRESS"""

import sys
from multiprocessing.connection import Client

import far

FUNCTIONS = {"add": far.add, "echo": far.echo}

with Client(sys.argv[1], "AF_UNIX") as connection:
    while True:
        try:
            name, *arguments = connection.recv()
        except EOFError:
            break
        connection.send(FUNCTIONS[name](*arguments))
