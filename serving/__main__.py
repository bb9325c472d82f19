"""`python -m serving`: the verb of this side alone."""

from serving.verbs import app

app(prog_name="python -m serving")
