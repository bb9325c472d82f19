"""`python -m pipeline`: the verbs of this side alone."""

from pipeline.verbs import app

app(prog_name="python -m pipeline")
