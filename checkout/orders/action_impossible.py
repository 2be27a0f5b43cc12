class ActionImpossible(Exception):
    """Nothing was done. The message says why, to the member of staff who asked for it."""
