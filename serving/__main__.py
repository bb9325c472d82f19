"""`python -m serving`: the verb of this side alone."""

from serving.verbs import app

if __name__ == "__main__":  # a model's process imports this file too
    app(prog_name="python -m serving")
