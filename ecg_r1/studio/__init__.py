"""The web page around the package: compare, doubt, play, guess, take away.

`build` lays the page out (`views`) and ties it to its handlers (`reader`, `own`, `api`); the
other modules work without Gradio. What this leaves out: reading, measuring and auditing, which
are the package's own.
"""
