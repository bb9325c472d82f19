"""The database of the prediction log: all that imports SQLAlchemy, which takes long, so functions import this."""
