"""One thin module for each stage of the pipeline."""
