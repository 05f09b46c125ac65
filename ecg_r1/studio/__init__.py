"""The web page around the package: compare, doubt, play, guess, take away.

`build` lays the page out and ties it to its handlers; every other module here works without
Gradio. What this leaves out: reading, measuring and auditing, which are the package's own.
"""
