"""What an artifact is: the one thing that the side which makes models and the side which serves them both know."""
