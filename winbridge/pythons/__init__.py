"""Windows Pythons: where they come from, where they are kept, and what is installed into them.

``sources`` knows where an archive lies and what its checksum is, ``download`` fetches it, ``install`` unpacks it,
``registry`` keeps what is installed or was named by the user, ``packages`` has the host's pip fill it.
"""
