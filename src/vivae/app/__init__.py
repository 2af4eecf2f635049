"""The command line, the pages it writes, and the verbs that are made for people: nothing imports this room."""
