"""Ways to read a file of events from Python, each a function of path, form and whether lines may be broken.

They return what work.py asks for: the columns of the matrix and the labels.
"""
