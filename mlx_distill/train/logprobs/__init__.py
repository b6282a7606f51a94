"""What a model gives the tokens of an example: computed once, kept on disk, read by every training that needs it."""
