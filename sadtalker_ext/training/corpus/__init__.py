"""Speech corpora with phone times: synthesisers, recordings, articulation curves and augmentation."""
