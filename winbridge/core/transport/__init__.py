"""What carries messages to an agent: see ``contract`` for what each has to do."""
