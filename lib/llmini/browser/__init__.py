"""From a checkpoint to a folder that runs in a browser, and the proof that it says the same."""
