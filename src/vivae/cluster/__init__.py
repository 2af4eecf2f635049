"""Many files, many processes, many machines: one verb over an archive.

    sources     which videos a folder, a pattern or a list names
    manifest    what is done, what failed and why, in SQLite beside the results
    results     what results are called and where they lie
    work        one file's work as data that travels to another process
    processes   the engine on one machine
    on_ray      the same on a Ray cluster
    batch       a run from start to summary
    training    one training on many machines

Knows the verbs only as callables; stands above the tasks and below the command line.
"""
