"""The web app of `vivae serve`: a workbench in the browser whose every job is one of vivae's verbs.

rooms    who is there: a folder of random names for each visitor, and what may be put into it
offers   from the settings of a tab to the calls of vivae that do it, and to the command lines that would do the same
worker   one job in a process of its own
jobs     the queue of jobs: start, pause, go on, cancel; how far, how fast, how long still
frames   the pages with the players
routes   what the browser asks for beside Gradio: uploads, media, the state of a room; who may ask
page     the tabs and their settings, in Gradio
"""
