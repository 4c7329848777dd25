"""What carries the bytes of a connection: see ``contract`` for what each has to do."""
