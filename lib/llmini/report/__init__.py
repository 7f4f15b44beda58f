"""Tables, figures and findings from a results table and the published numbers. Nothing here imports torch."""
